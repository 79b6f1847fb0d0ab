package proxy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// failureKey says whose failed sign-ins count: those of an address or network, of a user, or of a user at an address.
type failureKey struct {
	address netip.Prefix // zero for all
	user    string       // "" for all; see ShownName
}

// maxShownName bounds the names that are kept for people, in bytes. Clients choose names, and may fail with many long
// ones.
const maxShownName = 128

// ShownName is the part of a name that is kept, so that a list can show whom a delay is for. It is a copy.
func ShownName(user string) string { return strings.Clone(user[:min(len(user), maxShownName)]) }

// AuthDelay is the delay that failed sign-ins have caused for an address, a user, or a user at an address.
type AuthDelay struct {
	Address  netip.Prefix // zero for all addresses
	User     string       // "" for all users
	Failures int          // that count; each makes the next refusal wait longer, up to a bound
	Wait     time.Duration
	Last     time.Time // of those failures

	Guesses float64 // wrong credentials that may be verified at once now
	Burst   float64 // that number after a quiet time; 0 if none was counted
	Held    int     // sign-ins that wait for a token of the guess limiter
}

// AuthDelays lists all authentication delays, the latest failures first.
func (s *Server) AuthDelays() []AuthDelay {
	all := make(map[failureKey]*AuthDelay)
	delayOf := func(key failureKey) *AuthDelay {
		if all[key] == nil {
			all[key] = &AuthDelay{Address: key.address, User: key.user}
		}
		return all[key]
	}
	s.authDelays.each(s.Settings().AuthDelay, func(f failures, wait time.Duration) {
		p := delayOf(f.owner)
		p.Failures, p.Wait, p.Last = int(f.n), wait, time.Unix(f.last, 0)
	})
	s.guesses.each(func(b *bucket) {
		if b.left >= b.rate.burst && len(b.waiting) == 0 || b.owner == (failureKey{}) {
			return // full, or nobody's who is known here: another node shows it
		}
		p := delayOf(b.owner)
		p.Guesses, p.Burst, p.Held = b.left, b.rate.burst, len(b.waiting)
	})
	list := make([]AuthDelay, 0, len(all))
	for _, p := range all {
		list = append(list, *p)
	}
	slices.SortFunc(list, func(a, b AuthDelay) int {
		return cmp.Or(b.Last.Compare(a.Last), strings.Compare(a.User, b.User),
			a.Address.Addr().Compare(b.Address.Addr()))
	})
	return list
}

// Forgive forgets the failures that pick selects: the next refusal is answered after the first delay, and sign-ins
// that are held are verified. It lists what it has forgotten.
func (s *Server) Forgive(pick func(AuthDelay) bool) []AuthDelay {
	var forgiven []AuthDelay
	picked := make(map[failureKey]bool)
	for _, p := range s.AuthDelays() {
		if pick(p) {
			forgiven = append(forgiven, p)
			picked[failureKey{p.Address, p.User}] = true
		}
	}
	s.authDelays.forget(picked)
	s.guesses.fill(picked)
	return forgiven
}

// each yields the failures that still count, and how long the next refusal waits.
func (d *authDelays) each(o AuthDelayOptions, yield func(f failures, wait time.Duration)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now().Unix()
	for key, f := range d.failed {
		if now-f.last < int64(o.Forget/time.Second) {
			yield(f, o.wait(int64(f.n)+1+d.site.elsewhere(key)))
		}
	}
}

func (d *authDelays) forget(owners map[failureKey]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, f := range d.failed {
		if owners[f.owner] {
			delete(d.failed, key)
		}
	}
}

// each yields the buckets, refilled.
func (g *guessLimiter) each(yield func(*bucket)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range g.buckets {
		b.refill(g.now())
		yield(b)
	}
}

// fill fills buckets, and admits the guesses that wait for them.
func (g *guessLimiter) fill(owners map[failureKey]bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, b := range g.buckets {
		if !owners[b.owner] {
			continue
		}
		g.refillAll(key, b)
		g.site.note(clearedBuckets, key)
	}
}

// refillAll gives a bucket all its tokens back.
func (g *guessLimiter) refillAll(key uint64, b *bucket) {
	b.left = b.rate.burst
	b.admit()
	if b.isFull(g.now()) {
		delete(g.buckets, key)
	}
}
