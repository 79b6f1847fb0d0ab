package proxy

import (
	"cmp"
	"encoding/hex"
	"net/netip"
	"slices"
	"sync"
	"time"

	"portico/proxy/relay"
)

// Lists of the sessions that the relay carries, and ways to end them, for operators.

// Session describes a signed-in session.
type Session struct {
	ID       string
	User     string // canonical
	Server   string // mailbox server
	Database string // "" where the directory named only the server
	Listener string
	Remote   netip.AddrPort // the client's address
	relay.Carried
}

// Sessions lists the signed-in sessions, in no order. Others may have the same list, so it must not be changed.
func (s *Server) Sessions() []Session { return s.listed.get() }

func (s *Server) listSessions() []Session {
	var all []Session
	for _, c := range s.opt.Relay.Sessions() {
		if r, ok := c.Owner.(*relayed); ok {
			session := r.session()
			session.Carried = c
			all = append(all, session)
		}
	}
	return all
}

// session describes the session, without what the relay knows.
func (r *relayed) session() Session {
	return Session{
		ID: hex.EncodeToString(r.id[:]), User: r.user, Server: r.shared.server, Database: r.shared.database,
		Listener: r.shared.listener,
		Remote:   r.remote.AddrPort(),
	}
}

// SlowCommand is one of the slowest commands for a mailbox server, verb and hour.
type SlowCommand struct {
	Session Session // without Carried
	Verb    string
	Result  string        // ok, no, bad, or aborted if the session ended first
	Took    time.Duration // server time
	Ended   time.Time
}

// Slow lists the slowest commands of the last day, the slowest first. Others may have the same list, so it must not be
// changed.
func (s *Server) Slow() []SlowCommand { return s.slowest.get() }

func (s *Server) listSlow() []SlowCommand {
	var all []SlowCommand
	now := time.Now()
	for _, c := range s.opt.Relay.Slow() {
		if r, ok := c.Owner.(*relayed); ok {
			all = append(all, SlowCommand{
				Session: r.session(), Verb: c.Verb.String(), Result: c.Result.String(), Took: c.Spent,
				Ended: now.Add(-c.Ago),
			})
		}
	}
	slices.SortFunc(all, func(a, b SlowCommand) int { return cmp.Compare(b.Took, a.Took) })
	return all
}

// EndSessions ends the signed-in sessions that fit. When none of them has a connection to a mailbox server any more, it
// returns them as they were before, in no order. The relay's goroutines call fits, which must not block.
func (s *Server) EndSessions(fits func(Session) bool, why relay.Reason) []Session {
	before := make(map[string]Session)
	for _, session := range s.Sessions() {
		before[session.ID] = session
	}
	var mu sync.Mutex
	var ended []Session
	s.end(func(r *relayed) bool {
		session := r.session()
		if !fits(session) {
			return false
		}
		if was, listed := before[session.ID]; listed {
			session = was
		}
		mu.Lock()
		ended = append(ended, session)
		mu.Unlock()
		return true
	}, why, 0)
	return ended
}

// EndUser ends the signed-in sessions of a user, given by the canonical name, and returns when none of them has a
// connection to a mailbox server any more. The client is told the reason.
func (s *Server) EndUser(user string, why relay.Reason) {
	s.end(func(r *relayed) bool { return r.user == user }, why, 0)
}

// EndDatabase ends the relayed sessions of a database, spread over about d, and returns when none of them has a
// connection to a mailbox server any more.
func (s *Server) EndDatabase(database string, d time.Duration) {
	s.end(func(r *relayed) bool { return r.shared.database == database }, relay.ReasonMoved, d)
}

// EndUsers ends the relayed sessions of those users of a database for whom concerned is true, spread over about d, and
// returns when none of them has a connection to a mailbox server any more. It may call concerned for several at once.
func (s *Server) EndUsers(database string, concerned func(user string) bool, d time.Duration) {
	s.end(func(r *relayed) bool { return r.shared.database == database && concerned(r.user) }, relay.ReasonMoved, d)
}

// EndAll ends all relayed sessions for this node's maintenance, spread over about d, and returns when none of them has
// a connection to a mailbox server any more.
func (s *Server) EndAll(d time.Duration) {
	s.end(func(*relayed) bool { return true }, relay.ReasonMaintenance, d)
}

// end is relay.Relay.End for the sessions that a Server has handed over.
func (s *Server) end(pick func(*relayed) bool, why relay.Reason, d time.Duration) {
	s.opt.Relay.End(func(o relay.Owner) bool { r, ok := o.(*relayed); return ok && pick(r) }, why, d)
}
