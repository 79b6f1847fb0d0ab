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
	strangers map[netip.Prefix]*strangers
	silent    silence // before sign-in, of all addresses
	users     map[string]int
	names     strings.Builder // where the names in users stand, several in one piece
}

// strangers are one address's connections before sign-in.
type strangers struct {
	number    int
	silent    silence
	exchanges silence // of silent, those that hold a connection to a mailbox server
}

// maxExchanges bounds one address's silent exchanges with mailbox servers, unless it is bound by nothing.
const maxExchanges = 64

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
	return &admission{
		addresses: make(map[netip.Prefix]int), strangers: make(map[netip.Prefix]*strangers), users: make(map[string]int),
		silent: silence{kind: ofAll},
	}
}

// ticket is one connection's place in the counts until the relay has it. It has to be returned, once or more often, or its place left for it.
type ticket struct {
	gate     *admission
	address  netip.Prefix
	user     string // counted when not ""
	signedIn bool
	returned bool // not counted any more

	apart      bool    // its address is not bound before sign-in
	client     *client // waited for, while the ticket is in the lists of silent ones
	exchanging bool    // it is in the list of exchanges too
	links      [numSilences]link
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

// enter admits a connection, or says with an Outcome which limit forbids it. Where a limit of connections before sign-in is reached, the
// one that has been silent longest gives way, if there is one.
func (a *admission) enter(addr netip.Addr, lim Limits) (*ticket, error) {
	key := addressKey(addr)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case exceeds(a.total, lim.Connections):
		return nil, OutcomeLimitTotal
	case exceeds(a.addresses[key], lim.ConnectionsPerAddress):
		return nil, OutcomeLimitAddress
	}
	if err := a.makeRoom(key, lim); err != nil {
		return nil, err
	}
	if exceeds(a.unsigned, lim.Unauthenticated) && !a.giveWay(&a.silent, OutcomeGaveWay) {
		return nil, OutcomeLimitUnsigned
	}
	t := &ticket{gate: a, address: key, apart: lim.UnauthenticatedPerAddress <= 0}
	a.total++
	a.unsigned++
	a.addresses[key]++
	a.arrive(key)
	return t, nil
}

// makeRoom makes sure that an address may have one more connection before sign-in.
func (a *admission) makeRoom(key netip.Prefix, lim Limits) error {
	of := a.strangers[key]
	if of != nil && exceeds(of.number, lim.UnauthenticatedPerAddress) && !a.giveWay(&of.silent, OutcomeGaveWayAddress) {
		return OutcomeLimitUnsignedAddress
	}
	return nil
}

// arrive and depart count a connection before sign-in for its address.
func (a *admission) arrive(key netip.Prefix) {
	of := a.strangers[key]
	if of == nil {
		of = &strangers{silent: silence{kind: ofAddress}, exchanges: silence{kind: ofExchanges}}
		a.strangers[key] = of
	}
	of.number++
}

func (a *admission) depart(key netip.Prefix) {
	if of := a.strangers[key]; of != nil {
		if of.number--; of.number == 0 {
			delete(a.strangers, key)
		}
	}
}

// giveWay ends the connection that has been silent longest, if there is one, and takes its place from it.
func (a *admission) giveWay(among *silence, o Outcome) bool {
	t := among.first
	if t == nil {
		return false
	}
	c := t.client
	t.unlist()
	t.returned = true
	a.left(t.address, "", false)
	c.giveWay(o)
	return true
}

// waits says that the client is waited for from now on, and may have to give way. A ticket that is listed already is the one that has been
// silent for the shortest time from now on.
func (t *ticket) waits(c *client) {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	if t.returned || t.signedIn {
		return
	}
	t.unlist()
	t.list(c, c.exchanging)
}

// list puts the ticket at the end of the lists of silent ones.
func (t *ticket) list(c *client, exchanging bool) {
	of := t.gate.strangers[t.address]
	t.client, t.exchanging = c, exchanging
	t.gate.silent.add(t)
	of.silent.add(t)
	if exchanging {
		if !t.apart && of.exchanges.number >= maxExchanges {
			t.gate.giveWay(&of.exchanges, OutcomeGaveWayAddress)
		}
		of.exchanges.add(t)
	}
}

// serves says that the client waits for us from now on. It answers false if the client had to give way.
func (t *ticket) serves() bool {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	t.unlist()
	return !t.returned
}

// unlist takes the ticket out of the lists of silent ones.
func (t *ticket) unlist() {
	if t.client != nil {
		of := t.gate.strangers[t.address]
		t.gate.silent.remove(t)
		of.silent.remove(t)
		if t.exchanging {
			of.exchanges.remove(t)
		}
		t.client, t.exchanging = nil, false
	}
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
	if err := t.gate.makeRoom(key, lim); err != nil {
		return err
	}
	c, exchanging := t.client, t.exchanging
	t.unlist()
	decrement(t.gate.addresses, t.address)
	t.gate.depart(t.address)
	t.address = key
	t.gate.addresses[key]++
	t.gate.arrive(key)
	t.apart = lim.UnauthenticatedPerAddress <= 0
	if c != nil {
		t.list(c, exchanging)
	}
	return nil
}

// claim counts the connection as one of user's, who has proved to be that user, or says that the user has too many.
func (t *ticket) claim(user string, limit int) error {
	if user == "" {
		return nil
	}
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
		t.unlist()
		t.signedIn = true
		t.gate.unsigned--
		t.gate.depart(t.address)
	}
}

// giveBack takes the connection out of all counts.
func (t *ticket) giveBack() {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	if t.returned {
		return
	}
	t.unlist()
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
		a.depart(address)
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
