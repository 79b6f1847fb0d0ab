package proxy

import (
	"cmp"
	"encoding/hex"
	"time"

	"portico/backend"
	"portico/protolog"
	"portico/proxy/relay"
	"portico/proxy/wire"
)

// The protocol log's rows of sessions. A session in set-up writes them itself. When the relay has it, a Watcher does.

// setupRows is what the protocol log needs to know of a session in set-up. It belongs to the session's goroutine.
type setupRows struct {
	to       protolog.SetUp
	number   uint32          // of the next row; also counted when nothing is logged
	command  string          // being answered; "" when there is none
	shown    *wire.Shown     // of its arguments; nil while nothing is logged
	request  uint64          // bytes used up to the last answer
	response uint64          // bytes said up to it
	phases   protolog.Phases // of the sign-in under way
	server   string          // the mailbox server's name, as far as that has come; "" if nowhere
	upstream string          // and as rows name it
}

// logging says whether somebody may want rows.
func (s *session) logging() bool {
	return s.server.opt.ProtocolLog != nil && s.server.opt.ProtocolLog.On()
}

// logBegin records the command that will be answered. A command that could not be read is "other".
func (s *session) logBegin(cmd *wire.Command, err error) {
	s.rows.command = wire.VerbOther.Lower()
	s.rows.shown = nil
	if s.logging() && err == nil {
		name, shown := cmd.Masked()
		s.rows.command, s.rows.shown = name, &shown
	}
}

// logRow writes a row. change fills it in.
func (s *session) logRow(change func(*protolog.Event)) {
	number := s.rows.number
	s.rows.number++
	if !s.logging() {
		return
	}
	log, subject := s.server.opt.ProtocolLog, s.subject()
	e := protolog.Event{Session: log.Session(subject), Time: log.Now(), Number: number}
	change(&e)
	if s.attempt.mailboxServer == "" {
		e.Session = e.Session.Anonymous()
	}
	s.rows.to.Note(subject, e)
}

// transferred returns how many bytes were used and sent since the last call.
func (s *session) transferred() (request, response uint64) {
	used, said := s.client.commands.Used(), s.client.said
	request, response = used-s.rows.request, said-s.rows.response
	s.rows.request, s.rows.response = used, said
	return request, response
}

// subject returns what is known of the session.
func (s *session) subject() protolog.Subject {
	return protolog.Subject{
		ID: s.id, User: s.attempt.user, Server: cmp.Or(s.attempt.mailboxServer, s.rows.server),
		Client: s.arrival.remote, Local: s.arrival.local,
	}
}

// logOpen writes the row for the greeting.
func (s *session) logOpen() {
	request, response := s.transferred()
	s.logRow(func(e *protolog.Event) {
		e.Command, e.Request, e.Response = protolog.OpenSession, request, response
	})
}

// logCommand writes the row for the command that has ended, if there was one. code is the answer's response code.
func (s *session) logCommand(r protolog.Result, code string, o Outcome) {
	command, shown := s.rows.command, s.rows.shown
	if command == "" {
		return
	}
	s.rows.command = ""
	request, response := s.transferred()
	s.logRow(func(e *protolog.Event) {
		e.Request, e.Response = request, response
		e.Command, e.Duration = command, s.server.opt.Now().Sub(s.dialogue.readAt)
		if shown != nil {
			e.Parameters = *shown
		}
		e.Answer(r, []byte(code), nil)
		switch command {
		case wire.VerbLogin.Lower():
			e.Parameters = wire.ShownLogin(e.Session.User())
			fallthrough
		case wire.VerbAuthenticate.Lower():
			e.Msg = s.proxyResult(o)
			phases := s.rows.phases
			e.Phases = &phases
		}
		if r != protolog.OK {
			e.Err = o.String()
		}
	})
}

// logProxy writes the row for an attempt to sign in to the mailbox server.
func (s *session) logProxy(link *backend.Link, err error, took time.Duration) {
	name, o := s.subject().Server, OutcomeSignedIn
	s.rows.upstream = name
	switch {
	case link == nil:
		o = outcomeOf(err)
	case link.TLS != nil:
		s.rows.upstream = link.Addr + ":SSL"
	default:
		s.rows.upstream = link.Addr
	}
	s.logRow(func(e *protolog.Event) {
		e.Command, e.Parameters, e.Duration, e.Msg = protolog.Proxy, wire.ShownName(name), took, s.proxyResult(o)
		if o != OutcomeSignedIn {
			e.Err = o.String()
		}
	})
}

// proxyResult returns the result of a sign-in in Exchange's words.
func (s *session) proxyResult(o Outcome) string {
	if s.rows.upstream == "" {
		return o.verdict()
	}
	return "Proxy:" + s.rows.upstream + ";" + cmp.Or(o.verdict(), "ProxyFailed")
}

// logClose writes the row for the end of a session that the relay has not got.
func (s *session) logClose(o Outcome) {
	if o == OutcomeSignedIn {
		return
	}
	s.logRow(func(e *protolog.Event) {
		e.Command, e.Duration, e.Err = protolog.CloseSession, s.server.opt.Now().Sub(s.began), o.String()
		e.Request, e.Response = s.client.commands.Used(), s.client.said
	})
}

// rewatch makes the relay call Watch again for all sessions whenever the rules or tails have changed.
func (s *Server) rewatch() {
	for {
		select {
		case <-s.opt.ProtocolLog.Changed():
			changes := s.opt.ProtocolLog.Changes()
			s.opt.Relay.Rewatch()
			s.opt.ProtocolLog.Applied(changes)
		case <-s.closed:
			return
		}
	}
}

// Watch returns who watches the sessions that the relay carries; see relay.Options. The sessions must be a
// Server's.
func Watch(log *protolog.Log) func(loop int, o relay.Owner, answered uint64) relay.Watcher {
	return func(loop int, o relay.Owner, answered uint64) relay.Watcher {
		r, ok := o.(*relayed)
		if !ok || !log.On() {
			return nil
		}
		subject := protolog.Subject{
			ID: hex.EncodeToString(r.id[:]), User: r.user, Server: r.shared.server, Client: r.remote.AddrPort(),
			Local: r.shared.local,
		}
		match := log.Match(subject)
		if match == nil {
			return nil
		}
		return &watcher{
			log: log, ring: log.Ring(loop), match: match, session: log.Session(subject),
			number: uint32(r.rows) + uint32(answered),
		}
	}
}

// watcher writes the rows of a session that the relay carries. Only the session's loop calls it.
type watcher struct {
	log     *protolog.Log
	ring    *protolog.Ring
	match   *protolog.Match
	session *protolog.Session
	number  uint32 // of the next row
}

// Finished implements relay.Watcher.
func (w *watcher) Finished(f *relay.Finished) {
	e := w.slot(f.Name, f.Spent)
	if e == nil {
		return
	}
	if f.Parameters != nil {
		e.Parameters = *f.Parameters
	} else {
		e.Msg = "begun before the log"
	}
	e.Request, e.Response, e.Rows = f.Request, f.Response, int32(f.Data)
	e.Answer(resultOfRelay[f.Result], f.Code, f.Text)
	w.put(e)
}

// Ended implements relay.Watcher.
func (w *watcher) Ended(end relay.Ending) {
	e := w.slot(protolog.CloseSession, 0)
	if e == nil {
		return
	}
	e.Request, e.Response, e.Err = end.ClientBytes, end.ServerBytes, end.Reason.String()
	if end.Opaque {
		e.Msg = "unjudged"
	}
	w.put(e)
}

// slot returns the event to fill in, or nil if nobody wants it.
func (w *watcher) slot(command string, took time.Duration) *protolog.Event {
	number := w.number
	w.number++
	if !w.match.Wants(command, took) {
		return nil
	}
	e := w.ring.Slot()
	if e != nil {
		e.Session, e.Time, e.Number, e.Command, e.Duration = w.session, w.log.Now(), number, command, took
	}
	return e
}

func (w *watcher) put(e *protolog.Event) {
	w.match.Mark(e)
	w.ring.Put()
}

// resultOfRelay maps the relay's results to the log's.
var resultOfRelay = [relay.NumResults]protolog.Result{
	relay.ResultOK: protolog.OK, relay.ResultNO: protolog.NO, relay.ResultBAD: protolog.BAD,
	relay.ResultAborted: protolog.Aborted,
}

// resultOfReply maps the proxy's own answers to the log's results.
var resultOfReply = [...]protolog.Result{replyNone: protolog.None, replyNO: protolog.NO, replyBAD: protolog.BAD,
	replyBYE: protolog.BYE}
