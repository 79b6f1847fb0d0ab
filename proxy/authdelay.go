package proxy

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// AuthDelayOptions say how long the answer to a refused sign-in waits: the authentication delay. The configuration
// calls it penalties.
type AuthDelayOptions struct {
	First   time.Duration  // after the first failure; each further failure doubles it; 0 for no delay
	Longest time.Duration  // at least First
	Forget  time.Duration  // how long after the last failure all failures are forgotten
	Exempt  []netip.Prefix // client networks that wait no longer than First
}

// authDelays remember failed sign-ins by address and by user, and decide how long the answer to a refused sign-in
// waits. The answer to a right password does not wait (but see guessLimiter), so nobody can lock a user out, while
// guessing slows down even if it comes from many addresses. If a user has signed in from an address within a day, the
// failures of others do not count for that user there.
//
// Memory is bounded: if there are too many entries, one is dropped. Safe for concurrent use.
type authDelays struct {
	seed maphash.Seed
	now  func() time.Time

	mu     sync.Mutex
	failed map[uint64]failures // by address, and by user
	good   map[uint64]int64    // by address and user: when they last signed in, in Unix seconds
}

type failures struct {
	n    int32
	last int64 // Unix seconds
	of   failureKey
}

const (
	maxAuthDelays = 200_000        // entries of each kind
	goodTime      = 24 * time.Hour // that an address is remembered for a user
	maxDoublings  = 20
)

func newAuthDelays(now func() time.Time) *authDelays {
	return &authDelays{seed: maphash.MakeSeed(), now: now, failed: make(map[uint64]failures),
		good: make(map[uint64]int64)}
}

// The keys are hashes: an entry is small then, and one of a hundred million that meets another's costs somebody some
// seconds at most.
func (p *authDelays) addressKey(addr netip.Prefix) uint64 { return maphash.Comparable(p.seed, addr) }
func (p *authDelays) userKey(user string) uint64          { return maphash.String(p.seed, user) }
func (p *authDelays) pairKey(addr netip.Prefix, user string) uint64 {
	return maphash.Comparable(p.seed, struct {
		addr netip.Prefix
		user string
	}{addr, user})
}

// fail counts a failed sign-in, of "" if nobody knows whose, and returns how long its answer waits.
func (p *authDelays) fail(addr netip.Addr, user string, o AuthDelayOptions) time.Duration {
	if o.First == 0 {
		return 0
	}
	key := addressKey(addr)
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := o.First
	if !p.known(key, user, now) && !contains(o.Exempt, addr) {
		wait = max(wait, p.count(p.addressKey(key), failureKey{address: key}, now, o))
	}
	if user != "" {
		wait = max(wait, p.count(p.userKey(user), failureKey{user: ShownName(user)}, now, o))
	}
	return wait
}

// knows says whether a user has signed in from an address lately.
func (p *authDelays) knows(addr netip.Addr, user string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known(addressKey(addr), user, p.now())
}

func (p *authDelays) known(key netip.Prefix, user string, now time.Time) bool {
	return user != "" && now.Unix()-p.good[p.pairKey(key, user)] < int64(goodTime/time.Second)
}

// count adds a failure to an entry and returns how long that means to wait.
func (p *authDelays) count(key uint64, of failureKey, now time.Time, o AuthDelayOptions) time.Duration {
	f := p.failed[key]
	if now.Unix()-f.last >= int64(o.Forget/time.Second) {
		f.n = 0
	}
	f = failures{n: min(f.n+1, maxDoublings), last: now.Unix(), of: of}
	makeRoom(p.failed)
	p.failed[key] = f
	return min(o.First<<(f.n-1), o.Longest)
}

// succeed notes that a user has signed in from an address, and forgets the failures of that user. Those of the address
// stay: else one right password would buy any number of wrong ones.
func (p *authDelays) succeed(addr netip.Addr, user string) {
	if user == "" {
		return
	}
	key := addressKey(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.failed) > 0 {
		delete(p.failed, p.userKey(user))
	}
	makeRoom(p.good)
	p.good[p.pairKey(key, user)] = p.now().Unix()
}

// makeRoom drops some entry, whichever, where there are too many: nobody can choose that it is their own.
func makeRoom[V any](entries map[uint64]V) {
	for key := range entries {
		if len(entries) < maxAuthDelays {
			return
		}
		delete(entries, key)
	}
}

func contains(networks []netip.Prefix, addr netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(addr.Unmap().WithZone("")) {
			return true
		}
	}
	return false
}
