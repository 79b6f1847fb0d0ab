package proxy

import (
	"sync"
	"time"

	"portico/proxy/relay"
	"portico/proxy/wire"
)

// setupStats counts commands before sign-in the way the relay counts those after it, under the server "". Safe for
// concurrent use.
type setupStats struct {
	mu       sync.Mutex
	commands relay.ServerStats
}

func (s *setupStats) begin() {
	s.mu.Lock()
	s.commands.Queued++
	s.mu.Unlock()
}

func (s *setupStats) end(v wire.Verb, r relay.Result, d time.Duration) {
	s.mu.Lock()
	s.commands.Queued--
	s.commands.Observe(v, r, d.Nanoseconds())
	s.mu.Unlock()
}

// resultOf is how a command before sign-in ended, as the relay's results put it.
func resultOf(err error) relay.Result {
	if err == nil || outcomeOf(err) == OutcomeLogout {
		return relay.ResultOK
	}
	switch outcomeOf(err).row().reply {
	case replyNO:
		return relay.ResultNO
	case replyBAD:
		return relay.ResultBAD
	}
	return relay.ResultAborted
}

// Stats returns what the relay has counted, and under the server "" the commands before sign-in, together with what
// earlier processes count; see CountEarlier. The caller owns it.
func (s *Server) Stats() *relay.Stats {
	all := s.OwnStats()
	if earlier := s.earlier.Load(); earlier != nil {
		all.Add(earlier)
	}
	return all
}

// CountEarlier has Stats and metrics include what earlier processes of this node have counted since this one follows
// them. It replaces what was given before, and must not be changed afterwards.
func (s *Server) CountEarlier(all *relay.Stats) { s.earlier.Store(all) }

// OwnStats is Stats without earlier processes.
func (s *Server) OwnStats() *relay.Stats {
	setup := relay.Stats{Servers: map[string]*relay.ServerStats{"": &s.stats.commands}}
	all := s.opt.Relay.Stats()
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	all.Add(&setup)
	return all
}
