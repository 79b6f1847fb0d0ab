package relay

import "portico/proxy/wire"

// GroupStats is what is counted for the sessions of a database or of a listener. Verbs are not told apart: a histogram
// for each verb and database would take megabytes.
type GroupStats struct {
	Commands Histogram // server time
	Traffic
}

func (g *GroupStats) add(o *GroupStats) {
	g.Commands.Add(&o.Commands)
	g.Traffic.add(o.Traffic)
}

// groupOf returns the statistics of one group. It makes them if they do not exist.
func groupOf(groups map[string]*GroupStats, name string) *GroupStats {
	if groups[name] == nil {
		groups[name] = new(GroupStats)
	}
	return groups[name]
}

// counterNames are a session's mailbox server, database and listener.
type counterNames struct{ server, database, listener string }

// counters are where a session counts: at its mailbox server, its database and its listener, so that each is the sum
// of its sessions. All sessions of a loop with the same three names share one, so a session pays one pointer.
type counters struct {
	*ServerStats
	database, listener *GroupStats
}

// countersOf returns where a session counts.
func (s *Stats) countersOf(session Session) *counters {
	names := counterNames{session.Server, session.Database, session.Listener}
	c := s.counters[names]
	if c == nil {
		if s.counters == nil {
			s.counters = make(map[counterNames]*counters)
		}
		c = &counters{s.Server(names.server), groupOf(s.Databases, names.database),
			groupOf(s.Listeners, names.listener)}
		s.counters[names] = c
	}
	return c
}

// addSessions counts sessions that begin, or with a negative number, that end.
func (c *counters) addSessions(n int64) {
	c.Sessions += n
	c.database.Sessions += n
	c.listener.Sessions += n
}

// addQueued counts commands that begin to wait for the mailbox server, or with a negative number, that cease to.
func (c *counters) addQueued(n int64) {
	c.Queued += n
	c.database.Queued += n
	c.listener.Queued += n
}

// addClientBytes counts bytes read from the client.
func (c *counters) addClientBytes(n int) {
	c.ClientBytes += uint64(n)
	c.database.ClientBytes += uint64(n)
	c.listener.ClientBytes += uint64(n)
}

// addServerBytes counts bytes read from the mailbox server.
func (c *counters) addServerBytes(n int) {
	c.ServerBytes += uint64(n)
	c.database.ServerBytes += uint64(n)
	c.listener.ServerBytes += uint64(n)
}

// observe counts a finished command.
func (c *counters) observe(v wire.Verb, r Result, ns int64) {
	ns = max(ns, 0)
	classic, native := bucketsOf(ns)
	c.commands(v).observe(ns, classic, native)
	c.Results[v][r]++
	c.database.Commands.observe(ns, classic, native)
	c.listener.Commands.observe(ns, classic, native)
}
