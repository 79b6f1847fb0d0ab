package proxy

import (
	"net/netip"
	"time"
)

// Memory is what a server remembers of clients: whose sign-ins have failed, who has signed in from where lately, and
// how many guesses are left to whom. Another process can go on with it; see Options.Memory. It is made for JSON.
type Memory struct {
	Keys    keyHash                     `json:"keys"` // of the maps
	Failed  map[uint64]RememberedFailed `json:"failed,omitempty"`
	Good    map[uint64]int64            `json:"good,omitempty"` // in Unix seconds
	Guesses map[uint64]RememberedTokens `json:"guesses,omitempty"`
}

// RememberedFailed are the failed sign-ins of an address or a user.
type RememberedFailed struct {
	Number  int32        `json:"n"`
	Last    int64        `json:"last"` // in Unix seconds
	Address netip.Prefix `json:"address"`
	User    string       `json:"user,omitempty"`
}

// RememberedTokens are what is left to an address, or to a user there, of the credentials that may be verified.
type RememberedTokens struct {
	Left      float64      `json:"left"`
	At        time.Time    `json:"at"`
	Burst     float64      `json:"burst"`
	PerSecond float64      `json:"per_second"`
	Address   netip.Prefix `json:"address"`
	User      string       `json:"user,omitempty"`
}

// Memory returns what the server remembers now. The caller owns it.
func (s *Server) Memory() Memory {
	m := Memory{Keys: s.authDelays.keys, Failed: make(map[uint64]RememberedFailed), Good: make(map[uint64]int64),
		Guesses: make(map[uint64]RememberedTokens)}
	s.authDelays.remember(&m)
	s.guesses.remember(&m)
	return m
}

func (d *authDelays) remember(m *Memory) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, f := range d.failed {
		m.Failed[key] = RememberedFailed{Number: f.n, Last: f.last, Address: f.owner.address, User: f.owner.user}
	}
	oldest := d.now().Add(-goodTime).Unix()
	for key, at := range d.good {
		if at > oldest {
			m.Good[key] = at
		}
	}
}

func (g *guessLimiter) remember(m *Memory) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, b := range g.buckets {
		m.Guesses[key] = RememberedTokens{Left: b.left, At: b.updatedAt, Burst: b.rate.burst,
			PerSecond: b.rate.perSecond, Address: b.owner.address, User: b.owner.user}
	}
}

// recall makes the parts that remember, as m says. Nobody else uses them yet, and they have the keys of m.
func (m *Memory) recall(delays *authDelays, guesses *guessLimiter) {
	for key, f := range m.Failed {
		makeRoom(delays.failed)
		delays.failed[key] = failures{n: min(max(f.Number, 1), maxDoublings), last: f.Last,
			owner: failureKey{f.Address, ShownName(f.User)}}
	}
	for key, at := range m.Good {
		makeRoom(delays.good)
		delays.good[key] = at
	}
	for key, b := range m.Guesses {
		guesses.makeRoom()
		guesses.buckets[key] = &bucket{owner: failureKey{b.Address, ShownName(b.User)},
			tokens: tokens{left: b.Left, updatedAt: b.At, rate: rate{b.Burst, b.PerSecond}}}
	}
}
