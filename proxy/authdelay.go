package proxy

import (
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
	now func() time.Time

	mu     sync.Mutex
	keys   keyHash
	failed map[uint64]failures // by address, and by user
	good   map[uint64]int64    // by address and user: when they last signed in, in Unix seconds
	site   *siteFailures       // nil where there is one node
}

type failures struct {
	n     int32
	last  int64 // Unix seconds
	owner failureKey
}

const (
	maxAuthDelays = 200_000        // entries of each kind
	goodTime      = 24 * time.Hour // how long a user's address is remembered
	maxDoublings  = 20
)

func newAuthDelays(keys keyHash, now func() time.Time) *authDelays {
	return &authDelays{keys: keys, now: now, failed: make(map[uint64]failures), good: make(map[uint64]int64)}
}

// fail counts a failed sign-in, of "" if nobody knows whose, and returns how long its answer waits.
func (d *authDelays) fail(addr netip.Addr, user string, o AuthDelayOptions) time.Duration {
	if o.First == 0 {
		return 0
	}
	key := addressKey(addr)
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	wait := o.First
	if !d.known(key, user, now) && !contains(o.Exempt, addr) {
		wait = max(wait, d.count(d.keys.of(key, ""), failureKey{address: key}, now, o))
	}
	if user != "" {
		wait = max(wait, d.count(d.keys.of(netip.Prefix{}, user), failureKey{user: ShownName(user)}, now, o))
	}
	return wait
}

// knows says whether a user has signed in from an address lately.
func (d *authDelays) knows(addr netip.Addr, user string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known(addressKey(addr), user, d.now())
}

func (d *authDelays) known(key netip.Prefix, user string, now time.Time) bool {
	return user != "" && now.Unix()-d.good[d.keys.of(key, user)] < int64(goodTime/time.Second)
}

// count adds a failure to an entry and returns how long that means to wait.
func (d *authDelays) count(key uint64, owner failureKey, now time.Time, o AuthDelayOptions) time.Duration {
	f := d.failed[key]
	if now.Unix()-f.last >= int64(o.Forget/time.Second) {
		f.n = 0
	}
	f = failures{n: min(f.n+1, maxDoublings), last: now.Unix(), owner: owner}
	makeRoom(d.failed)
	d.failed[key] = f
	d.site.note(key, f.n)
	return o.wait(int64(f.n) + d.site.elsewhere(key))
}

// wait is how long the answer to the latest failure waits, by how many there were.
func (o AuthDelayOptions) wait(failures int64) time.Duration {
	return min(o.First<<(min(failures, maxDoublings)-1), o.Longest)
}

// succeed records that a user has signed in from an address, and forgets the failures of that user. The failures of the
// address stay: otherwise one right password would allow any number of wrong ones.
func (d *authDelays) succeed(addr netip.Addr, user string) {
	if user == "" {
		return
	}
	key := addressKey(addr)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.failed) > 0 {
		delete(d.failed, d.keys.of(netip.Prefix{}, user))
	}
	makeRoom(d.good)
	d.good[d.keys.of(key, user)] = d.now().Unix()
}

// makeRoom drops an entry if there are too many. Nobody can choose which one.
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
