package proxy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// culprit is whose failed sign-ins count: an address or network, a user, or a user at an address.
type culprit struct {
	address netip.Prefix // zero for all
	user    string       // "" for all; see ShownName
}

// maxShownName bounds the names that are kept for people, in bytes. Clients choose names, and may fail with many long
// ones.
const maxShownName = 128

// ShownName is what is kept of a name, so that people can be shown whom a penalty is for. It is a copy.
func ShownName(user string) string { return strings.Clone(user[:min(len(user), maxShownName)]) }

// Penalty is what failed sign-ins have brought an address, a user, or a user at an address.
type Penalty struct {
	Address  netip.Prefix // zero for all addresses
	User     string       // "" for all users
	Failures int          // that count; the next refusal waits longer with each, up to a bound
	Wait     time.Duration
	Last     time.Time // of those failures

	Guesses float64 // of wrong credentials that may be judged at once now
	Burst   float64 // after a quiet time; 0 if none was counted
	Held    int     // sign-ins that wait for their turn to be judged
}

// Penalties lists all penalties, the latest failures first.
func (s *Server) Penalties() []Penalty {
	all := make(map[culprit]*Penalty)
	of := func(c culprit) *Penalty {
		if all[c] == nil {
			all[c] = &Penalty{Address: c.address, User: c.user}
		}
		return all[c]
	}
	s.penalties.each(s.Settings().Penalties, func(f failures, wait time.Duration) {
		p := of(f.of)
		p.Failures, p.Wait, p.Last = int(f.n), wait, time.Unix(f.last, 0)
	})
	s.guesses.each(func(b *bucket) {
		if b.left >= b.rate.burst && len(b.waiting) == 0 {
			return
		}
		p := of(b.of)
		p.Guesses, p.Burst, p.Held = b.left, b.rate.burst, len(b.waiting)
	})
	list := make([]Penalty, 0, len(all))
	for _, p := range all {
		list = append(list, *p)
	}
	slices.SortFunc(list, func(a, b Penalty) int {
		return cmp.Or(b.Last.Compare(a.Last), strings.Compare(a.User, b.User),
			a.Address.Addr().Compare(b.Address.Addr()))
	})
	return list
}

// Forgive forgets the failures of those who are picked: the next refusal is answered after the first wait, and
// sign-ins that are held are judged. It lists what it has forgotten.
func (s *Server) Forgive(pick func(Penalty) bool) []Penalty {
	var forgiven []Penalty
	picked := make(map[culprit]bool)
	for _, p := range s.Penalties() {
		if pick(p) {
			forgiven = append(forgiven, p)
			picked[culprit{p.Address, p.User}] = true
		}
	}
	s.penalties.forget(picked)
	s.guesses.fill(picked)
	return forgiven
}

// each yields the failures that still count, and how long the next refusal waits.
func (p *penalties) each(o PenaltyOptions, yield func(f failures, wait time.Duration)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now().Unix()
	for _, f := range p.failed {
		if now-f.last < int64(o.Forget/time.Second) {
			yield(f, min(o.First<<min(f.n, maxDoublings), o.Longest))
		}
	}
}

func (p *penalties) forget(of map[culprit]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, f := range p.failed {
		if of[f.of] {
			delete(p.failed, key)
		}
	}
}

// each yields the buckets, refilled.
func (g *guesses) each(yield func(*bucket)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range g.buckets {
		b.refill(g.now())
		yield(b)
	}
}

// fill fills buckets, and has those judged who wait for them.
func (g *guesses) fill(of map[culprit]bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, b := range g.buckets {
		if !of[b.of] {
			continue
		}
		b.left = b.rate.burst
		b.admit()
		if b.isFull(g.now()) {
			delete(g.buckets, key)
		}
	}
}
