package proxy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"portico/backend"
	"portico/protolog"
	"portico/proxy/setup"
)

// session is one connection from accept to hand-off. It belongs to the goroutine of run. Each phase keeps what it finds
// out in a struct of its own; later phases read it.
type session struct {
	server *Server
	set    *Settings
	id     string
	began  time.Time
	drain  context.Context // the server's, with this session's turn in it
	turn   setup.Turn
	client *client // owns the connection and its buffers

	arrival  arrival
	dialogue dialogue
	attempt  attempt
	rows     setupRows
}

// arrival has what accept, admission, the PROXY protocol and ID have found out about the client.
type arrival struct {
	listener     *listener
	ticket       *ticket        // owns the place in the counts
	source       netip.AddrPort // of the connection itself, which may come from a proxy
	remote       netip.AddrPort // the client's address, as far as we know
	local        netip.AddrPort // the address that it has connected to
	frontSession string         // the session's id at the proxy in front of us; "" if there is none
	hops         int            // how often the sign-in may still be passed on
}

// dialogue is the state of the conversation before sign-in.
type dialogue struct {
	tag           string    // of the command being answered; "" when it has none
	mechanism     string    // of the sign-in being answered; "" when it is none
	readAt        time.Time // when the last byte of that command was read
	badCommands   int       // bad commands so far
	failedSignIns int       // failed sign-ins so far
	probeDone     bool      // a probe has signed in, and no mailbox server was asked
}

// attempt is the last sign-in that was tried.
type attempt struct {
	user           string        // canonical; "" until a sign-in was tried
	credentialUser string        // whose credential the client has sent
	clientTime     time.Duration // how long the client took during the sign-in
	draws          []tokenDraw   // guess tokens taken for this sign-in
	tier           *tierInUse    // nil while no sign-in is in progress
	route          backend.Route // to be ended by releaseRoute
	database       string        // that the route has led to; "" for none
	routedTo       string        // the mailbox server that the route has led to
	mailboxServer  string        // signed in to; "" until then
}

// begin fills in what the session needs from the start.
func (s *session) begin(conn setup.Conn) {
	s.id, s.began = sessionID(s.server.opt.Random), s.server.opt.Now()
	s.arrival.hops = maxHops
	s.arrival.source, s.arrival.local = conn.RemotePort(), conn.LocalPort()
	s.arrival.remote = s.arrival.source
	if s.server.opt.ProtocolLog != nil {
		s.rows.to = s.server.opt.ProtocolLog.SetUp()
	}
	s.drain = setup.With(s.server.drain, s.turn)
	s.client = newClient(conn, s.arrival.ticket, s.server.drain, s.server.opt.Now, s.set)
}

// sessionID returns 16 hex digits. Where random fails it returns what there is: an id is for people, not for safety.
func sessionID(random io.Reader) string {
	var id struct { // one allocation
		random [8]byte
		text   [16]byte
	}
	io.ReadFull(random, id.random[:])
	hex.Encode(id.text[:], id.random[:])
	return string(id.text[:])
}

// run is the top frame of the session: every phase returns its error to here, and conclude reports it. Deferred calls
// give back what the session holds, because reporting may panic too. The sign-in thread reports such a panic, and
// closes the connection.
func (s *session) run(conn setup.Conn) {
	defer s.arrival.ticket.giveBack()
	s.begin(conn)
	defer s.client.commands.Reset(nil) // and no password is left
	defer s.attempt.releaseTier()
	s.server.inSetUp.add(s.client)
	defer s.server.inSetUp.remove(s.client)
	s.arrival.ticket.clientSilent(s.client)

	s.conclude(s.live())
	s.client.goodbye()
	s.client.close()
}

// conclude reports how the session ended, and counts it.
func (s *session) conclude(err error) {
	outcome := OutcomePanic // if reporting panics
	defer func() { s.arrival.listener.results.count(outcome) }()
	reported, _ := s.report(s.withEndCause(err))
	s.logClose(reported)
	outcome = reported
}

// releaseTier gives the tier back, because the sign-in has failed or the relay has the session.
func (a *attempt) releaseTier() {
	if a.tier == nil {
		return
	}
	a.releaseRoute()
	a.tier.release()
	a.tier = nil
}

// releaseRoute ends what Tier.Route began.
func (a *attempt) releaseRoute() {
	a.tier.Done(a.route)
	a.route = backend.Route{}
}

// live runs the phases of the session and returns the error that ends it. A panic ends this session alone.
func (s *session) live() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicked(v)
		}
	}()
	if err := s.readClientAddress(); err != nil {
		return err
	}
	err = s.open()
	s.logOpen()
	if err != nil {
		return err
	}
	for {
		link, err := s.command()
		if link != nil {
			return s.handOff(link)
		}
		if err == nil {
			s.logCommand(protolog.OK, "", OutcomeSignedIn)
			continue
		}
		if err = s.withEndCause(err); outcomeOf(err).row().ends {
			return err
		}
		outcome, err := s.report(err)
		if err == nil {
			err = s.countFailure(outcome)
		}
		if err != nil {
			return err
		}
	}
}

// withEndCause puts the reason for which the session has to end in front of an error that this has caused.
func (s *session) withEndCause(err error) error {
	cause := s.client.endCause()
	if cause == nil || s.client.handedOver || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}

// whileOpen runs f, which may wait until ctx ends, while other sessions have their turn. If the client closes its side,
// it counts as gone: otherwise an attacker could avoid the wait. whileOpen returns why the session has to end, or nil.
func (s *session) whileOpen(ctx context.Context, f func()) error {
	if err := s.client.sock.WhenGone(func(bool) { s.client.endWith(OutcomeClientGone) }); err != nil {
		return err
	}
	s.turn.Away(f)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return s.client.sock.WhenGone(s.client.noteHangUp)
}
