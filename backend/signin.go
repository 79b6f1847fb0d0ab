package backend

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"portico/backend/directory"
	"portico/proxy/wire"
)

// SignInRequest has the user and credential of a sign-in.
type SignInRequest struct {
	Tag        string // of the client's command; the answer in Link.Replies carries it. No server sees it
	User       string // canonical user name: for whom a credential of the proxy's own would sign in
	Credential Credential
	// AnswerChallenge passes a challenge of the server on to the client, and returns the client's response. Mechanisms
	// that are relayed message by message need it. Its error ends the sign-in, and so does the context's end: the
	// mailbox moves.
	AnswerChallenge func(ctx context.Context, challenge []byte) (response []byte, err error)
	Client          ClientInfo
	Step            func(phase string, d time.Duration) // called with the latency of each phase; may be nil

	own   bool  // Credential is the proxy's own
	route Route // whose lease is given back while the client is waited for
}

// ClientInfo is what a trusted server may learn of the client.
type ClientInfo struct {
	Addr      netip.AddrPort // the client's
	Local     netip.AddrPort // where it connected to
	SessionID string
	Hops      int  // how often the sign-in may still be passed on; 0 is not told
	TLS       bool // its connection has TLS; no server is told yet
}

// SignIn connects to the route's first server and signs in there. If it cannot reach the server, it tries the route's
// next one; an answer to the credential is final. Errors are *Error, of the first server tried. On error every
// connection is closed. ctx bounds the total time; each phase has a time-out of its own. A user who may not sign in
// gets the same answer as for a wrong password.
func (t *Tier) SignIn(ctx context.Context, r Route, q SignInRequest) (*Link, error) {
	if r.refusal != nil {
		return nil, t.refuse(ctx, r, q)
	}
	if r.Mode == directory.ModeMaster {
		if !r.verified || t.authentication.master == nil {
			return nil, &Error{Kind: KindOwnCredential, Phase: PhaseVerify, Err: errNotVerified}
		}
		q.Credential, q.own = t.authentication.master.credential(q.User), true
	}
	return t.signInAlong(ctx, r, q)
}

// signInAlong signs in to the first of a route's servers that is reached.
func (t *Tier) signInAlong(ctx context.Context, r Route, q SignInRequest) (*Link, error) {
	q.route = r
	var first *Error
	for _, name := range r.Servers {
		link, err := t.signInTo(ctx, name, q)
		if err == nil {
			link.Database = r.Database
			return link, nil
		}
		var e *Error
		if !errors.As(err, &e) || !e.tryNextCopy() {
			return nil, err
		}
		if first == nil {
			first = e
		} else {
			first.Err = errors.Join(first.Err, e)
		}
	}
	if first == nil {
		first = &Error{Kind: KindNoActiveCopy, Phase: PhaseRoute}
	}
	return nil, first
}

func (t *Tier) signInTo(ctx context.Context, name string, q SignInRequest) (*Link, error) {
	server := t.topology.servers[name]
	if server == nil {
		return nil, &Error{Kind: KindNoActiveCopy, Phase: PhaseRoute,
			Err: fmt.Errorf("there is no mailbox server %q", name)}
	}
	pass, err := t.protection.circuitBreakers.enter(name)
	if err != nil {
		resting := &Error{Kind: KindResting, Server: name, Phase: PhaseDial, Err: err}
		t.count(name, q.User, resting)
		return nil, resting
	}
	outcome := errPanicked
	defer func() {
		t.protection.circuitBreakers.leave(pass, outcome)
		t.count(name, q.User, outcome)
	}()
	link, err := t.connectAndSignIn(ctx, server, q, func() { t.protection.circuitBreakers.greeted(pass) })
	outcome = asError(err)
	return link, err
}

// count counts the end of a sign-in to a server, unless a probe has signed in.
func (t *Tier) count(server, user string, e *Error) {
	if !t.locator.isProbe(user) {
		t.protection.outcomes.Record(server, user, e)
	}
}

// errPanicked is the result of an attempt that has panicked: it shows nothing about the server.
var errPanicked = &Error{Kind: KindCancelled}

// connectAndSignIn is one attempt to sign in to one server. It calls greeted, if that is not nil, when the server can
// be signed in to.
func (t *Tier) connectAndSignIn(
	ctx context.Context, server *mailboxServer, q SignInRequest, greeted func(),
) (*Link, error) {
	c := &serverConn{ctx: ctx, tier: t, server: server, request: q, greeted: greeted, laps: stopwatch{now: t.now}}
	defer func() { c.laps.report(q.Step) }()
	if err := c.connect(); err != nil {
		return nil, err
	}
	defer c.responses.Reset(nil) // what is needed of them has been copied
	stop := context.AfterFunc(ctx, func() { interrupt(c.conn) })
	linked := false
	defer func() {
		if !linked { // also after a panic
			c.conn.Close() // not the TLS connection, which would stop to say good-bye
		}
	}()
	link, err := c.link()
	if !stop() && err == nil { // it has fired: the deadline in the past may come at any moment
		err = c.ioError(KindClosed, ctx.Err())
	}
	if err != nil {
		return nil, err
	}
	c.conn.SetDeadline(time.Time{})
	linked = true
	return link, nil
}

// signIn is the exchange from the sign-in command to its answer.
//
// All tags are our own. The client's tag is legal, but that does not mean that a server's parser takes it: a tag with
// "]" makes Dovecot answer without any tag.
type signIn struct {
	*serverConn
	tag      string // of the sign-in
	idTag    string // of our ID while its answer is missing
	pending  script // what the server has not asked for yet
	asked    int    // challenges passed on to the client
	replies  []byte // untagged responses for the client
	accepted []byte // the OK to the sign-in, under the client's tag; nil until then
	offers   Offers
	list     capabilityList
}

// signIn signs in with the client's credential, ID in front, and returns what is for the client.
func (c *serverConn) signIn() (*signIn, error) {
	s, err := c.trySignIn()
	if e := asError(err); e != nil && c.hungUpOnLength(e) {
		e.Kind = KindBadCredential
	}
	return s, err
}

// Lengths of passwords and tokens, in bytes, that every server takes. Dovecot reads lines of 1,024 bytes with LOGIN
// and of 8 KiB in SASL.
const (
	usualPassword = 900
	usualToken    = 5_000
)

// hungUpOnLength says whether the server has ended the connection because the client's credential is longer than what
// it reads: no such credential is right there.
func (c *serverConn) hungUpOnLength(e *Error) bool {
	usual := usualPassword
	if !carriesPassword(c.request.Credential.Mechanism) {
		usual = usualToken
	}
	ended := e.Kind == KindClosed || e.Kind == KindBye && e.Code == ""
	return ended && e.Phase == PhaseSignIn && !c.request.own && len(c.request.Credential.Password.Reveal()) > usual
}

func (c *serverConn) trySignIn() (*signIn, error) {
	c.enter(PhaseSignIn, c.tier.timeouts.SignIn)
	s := &signIn{serverConn: c}
	if c.capabilities.Hidden() {
		s.offers = OffersHidden
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	// A server may answer both commands in any order; the client must not see the answer to our ID.
	for s.accepted == nil || s.idTag != "" {
		if err := s.next(); err != nil {
			return nil, err
		}
	}
	if err := s.completeList(); err != nil {
		return nil, err
	}
	s.replies = append(s.replies, s.accepted...)
	return s, nil
}

// begin sends ID, if the server is to have it, and the first part of the sign-in in one write.
func (s *signIn) begin() error {
	s.tag = s.ownTag()
	parts, err := s.request.Credential.script(s.tag, s.capabilities)
	switch {
	case errors.Is(err, errNUL):
		return s.fail(KindBadCredential, err)
	case err != nil:
		s.tier.authentication.offered.learn(s.server.name, s.capabilities) // so that the next client is not promised it
		return s.fail(KindNoMechanism, err)
	}
	if !relayed(s.request.Credential.Mechanism) { // of others it is not known which message is the last
		s.askListBehind(parts)
	}
	s.pending = parts[1:]
	var first []byte
	if s.server.trustedID && s.capabilities.Has("ID") {
		s.idTag = s.ownTag()
		first = appendID(first, s.idTag, s.request.Client)
	}
	return s.write(append(first, parts[0]...))
}

// next reads a response and handles it.
func (s *signIn) next() error {
	resp, err := s.read()
	if err != nil {
		return err
	}
	return s.handle(resp)
}

func (s *signIn) handle(resp wire.Response) error {
	judged := s.accepted != nil
	switch {
	case resp.Kind == wire.Continuation && len(s.pending) > 0 && !judged:
		next := s.pending[0]
		s.pending = s.pending[1:]
		return s.write(next)
	case resp.Kind == wire.Continuation && relayed(s.request.Credential.Mechanism) && !judged:
		return s.answerChallenge(resp)
	case resp.Kind == wire.Untagged && resp.Status == wire.StatusBAD:
		return s.untaggedBAD(resp)
	case resp.Kind == wire.Untagged:
		if s.idTag == "" || resp.Name != "ID" {
			s.keep(resp)
		}
		return nil
	case resp.Kind == wire.Tagged && resp.Tag == s.idTag:
		s.idTag = "" // whatever it says: the server may ignore who the client is
		return nil
	case resp.Kind == wire.Tagged && resp.Tag == s.tag && !judged:
		return s.judge(resp)
	case resp.Kind == wire.Tagged && s.list.answered(resp.Tag):
		s.list.known = s.list.known && judged // else it is the list from before the sign-in
		return nil
	}
	return s.fail(KindProtocol, errNonsense)
}

// untaggedBAD is how servers answer a line of which they could not read the tag. It answers the first command that
// waits for an answer.
func (s *signIn) untaggedBAD(resp wire.Response) error {
	switch {
	case s.idTag != "":
		s.idTag = ""
	case s.accepted == nil:
		return s.judge(resp)
	case s.list.tag != "":
		s.list.tag = ""
	default:
		s.keep(resp)
	}
	return nil
}

// maxChallenges is how many challenges of one sign-in are passed on. SCRAM has two.
const maxChallenges = 8

// answerChallenge takes a challenge to the client, and the response back. What the client takes for it is nobody else's
// time.
func (s *signIn) answerChallenge(resp wire.Response) error {
	if s.asked++; s.asked > maxChallenges {
		return s.fail(KindProtocol, fmt.Errorf("more than %d challenges", maxChallenges))
	}
	challenge, err := base64.StdEncoding.DecodeString(resp.Text)
	if err != nil {
		return s.fail(KindProtocol, errors.New("a challenge is not base64"))
	}
	s.laps.enter("")
	response, err := s.tier.active.askClient(s.ctx, s.request.route, func(ctx context.Context) ([]byte, error) {
		return s.request.AnswerChallenge(ctx, challenge)
	})
	s.enter(PhaseSignIn, s.tier.timeouts.SignIn)
	switch {
	case errors.Is(err, errMoving):
		return s.fail(KindNoActiveCopy, err)
	case err != nil:
		return s.fail(KindClient, err)
	}
	return s.write(base64Line(string(response)))
}

// judge takes the answer to the sign-in.
func (s *signIn) judge(resp wire.Response) error {
	switch {
	case resp.Status != wire.StatusOK:
		return s.refusal(resp)
	case len(s.pending) > 0:
		return s.fail(KindProtocol, errors.New("sign-in accepted before the credential was sent"))
	}
	var line []byte
	if resp.ListsCapabilities() {
		line = s.filter(resp)
	} else {
		line = resp.Raw
	}
	s.accepted = append(append(make([]byte, 0, len(s.request.Tag)+len(line)), s.request.Tag...),
		line[len(resp.Tag):]...)
	return nil
}

// refusal reads a NO or a BAD. A NO without code, AUTHENTICATIONFAILED, and a BAD, as the command was well formed, say
// that the credential is wrong; if that is ours, the client can do nothing about it.
func (s *signIn) refusal(resp wire.Response) *Error {
	kind := KindRefused
	if resp.Code == "" || resp.Code == "AUTHENTICATIONFAILED" || resp.Status == wire.StatusBAD {
		kind = KindBadCredential
		if s.request.own {
			kind = KindOwnCredential
		}
	}
	text := s.clean(resp.Text)
	if resp.Code != "" {
		text = s.clean(resp.Code) + ": " + text
	}
	if resp.Status == wire.StatusBAD {
		text = "BAD: " + text
	}
	e := s.fail(kind, fmt.Errorf("sign-in refused: %s", text))
	e.Code, e.Text = s.codeForClient(resp)
	e.Crowded = s.crowded(resp)
	return e
}

// keep adds an untagged response to what the client gets.
func (s *signIn) keep(resp wire.Response) {
	switch {
	case !resp.ListsCapabilities():
		s.replies = append(s.replies, resp.Raw...)
	case s.accepted == nil || !s.list.known: // else it answers our question, and the client has got a list
		s.replies = append(s.replies, s.filter(resp)...)
	}
}

// filter returns a response with a capability list as the client is to see it, and learns from the list what the relay
// has to know.
func (s *signIn) filter(resp wire.Response) []byte {
	s.list.read(resp)
	line, hidden := wire.AppendFilteredCapabilities(nil, resp.Raw)
	switch {
	case hidden:
		s.offers = OffersHidden
	case s.offers == OffersUnknown:
		s.offers = OffersNone
	}
	return line
}
