package proxy

import (
	"cmp"
	"sync"

	"portico/proxy/history"
)

// signinCounts counts the results of sign-ins by mailbox server, database and listener, each by itself. Their names
// come from the configuration and the directory's answers that were checked against it, so they are bounded. Safe for
// concurrent use.
type signinCounts struct {
	mu     sync.Mutex
	groups map[history.Group]*[numOutcomes]uint64
}

func newSigninCounts() *signinCounts {
	return &signinCounts{groups: make(map[history.Group]*[numOutcomes]uint64)}
}

// count counts a result. server and database are "" if the sign-in has not come that far.
func (c *signinCounts) count(o Outcome, server, database, listener string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range [...]history.Group{{Kind: history.Server, Name: server},
		{Kind: history.Database, Name: database}, {Kind: history.Listener, Name: listener}} {
		if g.Name == "" {
			continue
		}
		if c.groups[g] == nil {
			c.groups[g] = new([numOutcomes]uint64)
		}
		c.groups[g][o]++
	}
}

// addTo adds what was counted so far.
func (c *signinCounts) addTo(all history.Counts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for g, counts := range c.groups {
		for o, n := range counts {
			if n > 0 {
				all.Of(g.Kind, g.Name).SignIns[Outcome(o).String()] = n
			}
		}
	}
}

// countSignIn counts a sign-in, or a connection that Portico ends without one. The latter counts for its listener
// alone.
func (s *session) countSignIn(o Outcome) {
	switch {
	case s.dialogue.mechanism != "":
		s.server.signins.count(o, cmp.Or(s.attempt.mailboxServer, s.attempt.routedTo), s.attempt.database,
			s.arrival.listener.Name)
	case o.row().ends && o != OutcomeLogout && o != OutcomeClientGone:
		s.server.signins.count(o, "", "", s.arrival.listener.Name)
	}
}
