package proxy

import (
	"encoding/hex"
	"net/netip"
	"sync/atomic"
	"time"

	"portico/proxy/relay"
)

// What operators see of the sessions that the relay carries, and do to them.

// Session is a signed-in session, for people.
type Session struct {
	ID       string
	User     string // canonical
	Server   string // mailbox server
	Database string // "" where the directory named only the server
	Listener string
	Remote   netip.AddrPort // the client's address
	relay.Carried
}

// Sessions lists the signed-in sessions, in no order.
func (s *Server) Sessions() []Session {
	var all []Session
	for _, c := range s.opt.Relay.Sessions() {
		if r, ok := c.Owner.(*relayed); ok {
			all = append(all, Session{
				ID: hex.EncodeToString(r.id[:]), User: r.user, Server: r.place.server, Database: r.place.database, Listener: r.place.door,
				Remote: r.remote.AddrPort(), Carried: c,
			})
		}
	}
	return all
}

// EndUser ends the signed-in sessions of a user, given by the canonical name, and returns how many those were when none of them has
// a connection to a mailbox server any more.
func (s *Server) EndUser(user string) int {
	var n atomic.Int64
	s.opt.Relay.End(func(o relay.Owner) bool {
		r, ok := o.(*relayed)
		if !ok || r.user != user {
			return false
		}
		n.Add(1)
		return true
	}, relay.ReasonKicked, 0)
	return int(n.Load())
}

// EndDatabase ends the relayed sessions of a database, spread over about d, and returns when none of them has a connection to a
// mailbox server any more.
func (s *Server) EndDatabase(database string, d time.Duration) {
	s.opt.Relay.End(func(o relay.Owner) bool { r, ok := o.(*relayed); return ok && r.place.database == database }, relay.ReasonMoved, d)
}
