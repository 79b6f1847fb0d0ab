package proxy

import (
	"net/netip"
	"strings"
	"sync"
)

// admission counts connections and says when there are too many. Safe for concurrent use.
type admission struct {
	mu        sync.Mutex
	total     int
	unsigned  int // of total: before sign-in
	addresses map[netip.Prefix]int
	users     map[string]int
	names     strings.Builder // where the names in users stand, several in one piece
}

// namesSize is how many bytes of names stand in one piece of memory. Each for itself, they would lie scattered among the garbage of
// sign-ins, and keep it from being used otherwise for as long as sessions live.
const namesSize = 1 << 10

// keep returns a copy of a name that may be kept for long.
func (a *admission) keep(name string) string {
	if a.names.Cap()-a.names.Len() < len(name) {
		a.names = strings.Builder{}
		a.names.Grow(max(namesSize, len(name)))
	}
	from := a.names.Len()
	a.names.WriteString(name)
	return a.names.String()[from:]
}

func newAdmission() *admission {
	return &admission{addresses: make(map[netip.Prefix]int), users: make(map[string]int)}
}

// ticket is one connection's place in the counts until the relay has it. It has to be returned, once or more often, or its place left for it.
type ticket struct {
	gate     *admission
	address  netip.Prefix
	user     string // counted when not ""
	signedIn bool
	returned bool
}

// exceeds says whether count has reached a limit, of which zero means none.
func exceeds(count, limit int) bool { return limit > 0 && count >= limit }

// addressKey is what of a client's address the limit counts: of IPv6 the network, since a host may take any address in it.
func addressKey(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	key, _ := addr.Prefix(bits) // fails for no address at all, which gets a key of its own
	return key
}

// enter admits a connection, or says with an Outcome which limit forbids it.
func (a *admission) enter(addr netip.Addr, lim Limits) (*ticket, error) {
	key := addressKey(addr)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case exceeds(a.total, lim.Connections):
		return nil, OutcomeLimitTotal
	case exceeds(a.unsigned, lim.Unauthenticated):
		return nil, OutcomeLimitUnsigned
	case exceeds(a.addresses[key], lim.ConnectionsPerAddress):
		return nil, OutcomeLimitAddress
	}
	a.total++
	a.unsigned++
	a.addresses[key]++
	return &ticket{gate: a, address: key}, nil
}

// move counts the connection for another address, or says that this has too many.
func (t *ticket) move(addr netip.Addr, lim Limits) error {
	key := addressKey(addr)
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	switch {
	case t.returned || key == t.address:
		return nil
	case exceeds(t.gate.addresses[key], lim.ConnectionsPerAddress):
		return OutcomeLimitAddress
	}
	decrement(t.gate.addresses, t.address)
	t.gate.addresses[key]++
	t.address = key
	return nil
}

// claim counts the connection as one of user's before the sign-in begins, so that sign-ins side by side can not slip past the
// limit. A sign-in that fails has to disclaim.
func (t *ticket) claim(user string, limit int) error {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	if t.returned || exceeds(t.gate.users[user], limit) {
		return OutcomeLimitUser
	}
	t.user = t.gate.keep(user)
	t.gate.users[t.user]++
	return nil
}

// disclaim undoes claim.
func (t *ticket) disclaim() {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	t.dropUser()
}

// sign moves the connection to those signed in.
func (t *ticket) sign() {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	if !t.signedIn && !t.returned {
		t.signedIn = true
		t.gate.unsigned--
	}
}

// giveBack takes the connection out of all counts.
func (t *ticket) giveBack() {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	if t.returned {
		return
	}
	t.returned = true
	t.gate.left(t.address, t.user, t.signedIn)
}

// leave takes a connection that is no ticket's any more out of all counts.
func (a *admission) leave(address netip.Prefix, user string, signedIn bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left(address, user, signedIn)
}

func (a *admission) left(address netip.Prefix, user string, signedIn bool) {
	if user != "" {
		decrement(a.users, user)
	}
	decrement(a.addresses, address)
	a.total--
	if !signedIn {
		a.unsigned--
	}
}

func (t *ticket) dropUser() {
	if t.user != "" {
		decrement(t.gate.users, t.user)
		t.user = ""
	}
}

// counts returns the connections before and after sign-in.
func (a *admission) counts() (unsigned, signed int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unsigned, a.total - a.unsigned
}

func decrement[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}
