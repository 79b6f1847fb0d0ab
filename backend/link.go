package backend

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
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
	// Converse passes a challenge of the server on to the client, and returns the client's response. Mechanisms that
	// are relayed message by message need it. Its error ends the sign-in, and so does the context's end: the mailbox
	// moves.
	Converse func(ctx context.Context, challenge []byte) (response []byte, err error)
	Client   ClientInfo
	Step     func(phase string, d time.Duration) // told the latency of each phase when an attempt is over; may be nil

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

// Offers says whether a server offers COMPRESS or UNAUTHENTICATE after sign-in, which the relay must prevent.
type Offers uint8

// The three answers.
const (
	OffersUnknown Offers = iota // no capability list came with the sign-in
	OffersNone
	OffersHidden // it does; the names are taken out of Replies
)

// Link is a signed-in connection. The caller that gets it owns it. It has no deadlines.
type Link struct {
	Server   string // name of the mailbox server
	Database string
	Addr     string    // the address that was dialled, host:port
	Conn     net.Conn  // as Upstream.Dial returned it
	TLS      *tls.Conn // over Conn; nil when plain
	// for the client: untagged responses and OK of the sign-in, the server's capability list among them, less what is
	// hidden
	Replies []byte
	Rest    []byte // read behind them and not looked at; goes to the client next
	Offers  Offers
	// Extensions are those of the server's last capability list.
	Extensions wire.Extensions
}

// logOutTime bounds the end of a session at a mailbox server that is not used.
const logOutTime = time.Second

// LogOut sends LOGOUT and closes the connection, within a second.
func (l *Link) LogOut(now time.Time) {
	defer l.Conn.Close()
	l.Conn.SetDeadline(now.Add(logOutTime))
	stream := l.Conn
	if l.TLS != nil {
		stream = l.TLS
	}
	if _, err := stream.Write([]byte("portico LOGOUT\r\n")); err == nil {
		io.CopyN(io.Discard, stream, maxResponse) // the server closes behind its answer
	}
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
	link, err := t.converse(ctx, server, q, func() { t.protection.circuitBreakers.greeted(pass) })
	outcome = asError(err)
	return link, err
}

// count counts the end of a sign-in to a server, unless a probe has signed in.
func (t *Tier) count(server, user string, e *Error) {
	if !t.locator.isProbe(user) {
		t.protection.outcomes.Record(server, user, e)
	}
}

// asError returns an error as an *Error, and nil for none.
func asError(err error) *Error {
	var e *Error
	errors.As(err, &e)
	return e
}

// errPanicked is the result of an attempt that has panicked: it shows nothing about the server.
var errPanicked = &Error{Kind: KindCancelled}

// converse is one attempt to sign in to one server. It calls greeted, if that is not nil, when the server can be
// signed in to.
func (t *Tier) converse(ctx context.Context, server *mailboxServer, q SignInRequest, greeted func()) (*Link, error) {
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

func (c *serverConn) link() (*Link, error) {
	if err := c.prepare(); err != nil {
		return nil, err
	}
	if c.greeted != nil {
		c.greeted()
	}
	s, err := c.signIn()
	if err != nil {
		return nil, err
	}
	return &Link{
		Server:     c.server.name,
		Addr:       c.address.hostPort,
		Conn:       c.conn,
		TLS:        c.tls,
		Replies:    s.replies,
		Rest:       bytes.Clone(c.responses.Buffered()),
		Offers:     s.offers,
		Extensions: s.list.extends,
	}, nil
}
