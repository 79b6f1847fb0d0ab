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

// session is one connection from accept to hand-off. All of it belongs to the goroutine of run. What a phase learns
// stands in a struct of that phase; later phases read it.
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

// arrival is what accept, admission, the PROXY protocol and ID have found out about the client.
type arrival struct {
	listener     *listener
	ticket       *ticket        // owns the place in the counts
	source       netip.AddrPort // of the connection itself, whoever stands behind it
	remote       netip.AddrPort // the client's address, as far as we know
	local        netip.AddrPort // where it has connected to
	frontSession string         // the session's id at the proxy in front of us; "" if there is none
	hops         int            // how often the sign-in may still be passed on
}

// dialogue is where the conversation before sign-in stands.
type dialogue struct {
	tag       string    // of the command being answered; "" when it has none
	mechanism string    // of the sign-in being answered; "" when it is none
	asked     time.Time // when the last byte of that command was read
	bad       int       // bad commands so far
	failed    int       // failed sign-ins so far
	proved    bool      // a probe has signed in, and no mailbox server was asked
}

// attempt is the last sign-in that was tried.
type attempt struct {
	user          string        // canonical; "" until a sign-in was tried
	judged        string        // the user whose credential it shows
	thought       time.Duration // the client's share of the time
	draws         []tokenDraw   // taken for that
	tier          *tierInUse    // nil while no sign-in is under way
	way           backend.Route // its end has to be told to tier
	mailboxServer string        // signed in to; "" until then
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

// run is the top frame of the session: whatever happens below comes back as an error and is reported here. What the
// session holds is given back by deferred calls, because reporting may panic too: the set-up thread reports that, and
// closes the connection.
func (s *session) run(conn setup.Conn) {
	defer s.arrival.ticket.giveBack()
	s.begin(conn)
	defer s.client.commands.Reset(nil) // and no password is left
	defer s.attempt.tierDone()
	s.server.inSetUp.add(s.client)
	defer s.server.inSetUp.remove(s.client)
	s.arrival.ticket.clientSilent(s.client)

	s.conclude(s.live())
	s.client.goodbye()
	s.client.close()
}

// conclude reports how the session ended, and counts it.
func (s *session) conclude(err error) {
	outcome := OutcomePanic // unless reporting comes to its end
	defer func() { s.arrival.listener.results.count(outcome) }()
	told, _ := s.report(s.told(err))
	s.logClose(told)
	outcome = told
}

// tierDone gives the tier back: the sign-in failed, or the relay has the session.
func (a *attempt) tierDone() {
	if a.tier == nil {
		return
	}
	a.routeDone()
	a.tier.leave()
	a.tier = nil
}

// routeDone tells the tier that what Route began is over.
func (a *attempt) routeDone() {
	a.tier.Done(a.way)
	a.way = backend.Route{}
}

// live leads the session to its end and returns what that was. A panic ends this session alone.
func (s *session) live() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicked(v)
		}
	}()
	if err := s.introduced(); err != nil {
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
		if err = s.told(err); outcomeOf(err).row().ends {
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

// told puts the reason for which the session was told to end before whatever that made go wrong here.
func (s *session) told(err error) error {
	cause := s.client.ended()
	if cause == nil || s.client.handedOver || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}

// whileOpen runs f, which may wait until ctx ends, while others have their turn. A client that closes its side counts
// as gone, or closing it would spare an attacker the wait. It returns why the session has to end, if it has.
func (s *session) whileOpen(ctx context.Context, f func()) error {
	if err := s.client.sock.WhenGone(func(bool) { s.client.endWith(OutcomeClientGone) }); err != nil {
		return err
	}
	s.turn.Away(f)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return s.client.sock.WhenGone(s.client.hungUp)
}
