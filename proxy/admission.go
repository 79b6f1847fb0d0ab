package proxy

import (
	"container/heap"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// admission counts connections and refuses those beyond the limits. Each connection before sign-in takes a place. If
// all places are taken, a connection whose user is not proved gives way to a new one. Safe for concurrent use.
type admission struct {
	now func() time.Time

	mu         sync.Mutex
	total      int
	unsigned   int // of total: before sign-in
	addresses  map[netip.Prefix]int
	origins    map[netip.Prefix]*origin
	originHeap originHeap // of origins
	silent     ticketList // before sign-in, of all addresses
	users      map[string]int
	reserved   Places          // of the counts above: for connections of other processes
	names      strings.Builder // where the names in users stand, several in one piece
	site       *siteUsers      // nil where there is one node
}

// maxExchanges bounds one address's silent exchanges with mailbox servers. Shared addresses have no bound.
const maxExchanges = 64

// namesSize is how many bytes of names share one piece of memory. If each name had its own piece, they would lie among
// the garbage of sign-ins, and that memory could not be used again while the sessions last.
const namesSize = 1 << 10

// keep returns a copy of a name, in memory for long-lived names.
func (a *admission) keep(name string) string {
	if a.names.Cap()-a.names.Len() < len(name) {
		a.names = strings.Builder{}
		a.names.Grow(max(namesSize, len(name)))
	}
	from := a.names.Len()
	a.names.WriteString(name)
	return a.names.String()[from:]
}

func newAdmission(now func() time.Time) *admission {
	return &admission{
		now: now, addresses: make(map[netip.Prefix]int), origins: make(map[netip.Prefix]*origin),
		users:  make(map[string]int),
		silent: ticketList{kind: ofAll},
	}
}

// ticket is one connection's place in the counts until the relay has the session. giveBack must be called at least
// once; after handOver it does nothing.
type ticket struct {
	admission *admission
	address   netip.Prefix
	user      string // counted when not ""
	signedIn  bool
	returned  bool // not counted any more, or by another

	state  ticketState
	client *client   // that would have to give way; nil while the ticket is in no list
	since  time.Time // when it got its state
	links  [numListKinds]link
}

// ticketState says what a connection before sign-in waits for.
type ticketState uint8

const (
	stateUnlisted   ticketState = iota // it does not give way
	stateSilent                        // for the client
	stateExchanging                    // the same, in the middle of an exchange with a mailbox server
	stateWaiting                       // for us: for a directory, a mailbox server, a database that moves
)

// exceeds says whether count has reached a limit. Zero is no limit.
func exceeds(count, limit int) bool { return limit > 0 && count >= limit }

// addressKey returns what limits count as one address: for IPv6 the /64 network, because a host may use any address in
// it.
func addressKey(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	key, _ := addr.Prefix(bits) // fails for no address at all, which gets a key of its own
	return key
}

// enter admits a connection, or returns the Outcome of the limit that forbids it. If a limit of connections before
// sign-in is reached, one of these connections gives way, if any may.
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
	if exceeds(a.unsigned, lim.Unauthenticated) && !a.giveWay(a.nextToYield(), OutcomeGaveWay) {
		return nil, OutcomeLimitUnsigned
	}
	a.total++
	a.unsigned++
	a.addresses[key]++
	a.arrive(key, lim.UnauthenticatedPerAddress <= 0)
	return &ticket{admission: a, address: key}, nil
}

// makeRoom makes room for one more connection before sign-in from an address, or returns an Outcome.
func (a *admission) makeRoom(key netip.Prefix, lim Limits) error {
	o := a.origins[key]
	if o != nil && exceeds(o.number, lim.UnauthenticatedPerAddress) && !a.giveWay(o.first(), OutcomeGaveWayAddress) {
		return OutcomeLimitUnsignedAddress
	}
	return nil
}

// clientSilent records that we wait for the client from now on. If the ticket was silent already, its silence begins
// again.
func (t *ticket) clientSilent(c *client) {
	state := stateSilent
	if c.exchanging {
		state = stateExchanging
	}
	t.enlist(c, state)
}

// clientWaits records that the client waits for us from now on. It returns false if the client had to give way.
func (t *ticket) clientWaits(c *client) bool { return t.enlist(c, stateWaiting) }

// enlist gives a ticket a state in which it may have to give way. It returns false if it had to already.
func (t *ticket) enlist(c *client, state ticketState) bool {
	t.admission.mu.Lock()
	defer t.admission.mu.Unlock()
	if t.returned || t.signedIn {
		return !t.returned
	}
	t.unlist()
	t.list(c, state)
	return true
}

// list puts the ticket at the end of the lists of its state.
func (t *ticket) list(c *client, state ticketState) {
	o := t.admission.origins[t.address]
	t.client, t.state, t.since = c, state, t.admission.now()
	if state == stateWaiting {
		o.waiting.add(t)
	} else {
		t.admission.silent.add(t)
		o.silent.add(t)
	}
	if state == stateExchanging {
		if !o.shared && o.exchanges.number >= maxExchanges {
			t.admission.giveWay(o.exchanges.first, OutcomeGaveWayAddress)
		}
		o.exchanges.add(t)
	}
	heap.Fix(&t.admission.originHeap, o.heapIndex)
}

// unlist takes the ticket out of the lists, so that it cannot give way.
func (t *ticket) unlist() {
	if t.state == stateUnlisted {
		return
	}
	o := t.admission.origins[t.address]
	if t.state == stateWaiting {
		o.waiting.remove(t)
	} else {
		t.admission.silent.remove(t)
		o.silent.remove(t)
	}
	if t.state == stateExchanging {
		o.exchanges.remove(t)
	}
	t.client, t.state = nil, stateUnlisted
	heap.Fix(&t.admission.originHeap, o.heapIndex)
}

// move counts the connection for another address, or returns an Outcome if that address has too many.
func (t *ticket) move(addr netip.Addr, lim Limits) error {
	key := addressKey(addr)
	a := t.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case t.returned || key == t.address:
		return nil
	case exceeds(a.addresses[key], lim.ConnectionsPerAddress):
		return OutcomeLimitAddress
	}
	if err := a.makeRoom(key, lim); err != nil {
		return err
	}
	c, state := t.client, t.state
	t.unlist()
	add(a.addresses, t.address, -1)
	a.depart(t.address)
	t.address = key
	a.addresses[key]++
	a.arrive(key, lim.UnauthenticatedPerAddress <= 0)
	if c != nil {
		t.list(c, state)
	}
	return nil
}

// claim counts the connection for its user, whose credential has proved right, or returns an Outcome if the user has
// too many. From then on the connection cannot give way. If nobody knows the user's name, it is "" and not counted.
func (t *ticket) claim(user string, limit int) error {
	t.admission.mu.Lock()
	defer t.admission.mu.Unlock()
	a := t.admission
	if t.returned || user != "" && exceeds(a.users[user]+a.site.elsewhere(user), limit) {
		return OutcomeLimitUser
	}
	t.unlist()
	if user != "" {
		t.user = a.keep(user)
		a.users[t.user]++
		a.site.note(t.user, a.users[t.user], limit)
	}
	return nil
}

// disclaim undoes claim.
func (t *ticket) disclaim() {
	t.admission.mu.Lock()
	defer t.admission.mu.Unlock()
	t.dropUser()
}

// sign counts the connection as signed in.
func (t *ticket) sign() {
	t.admission.mu.Lock()
	defer t.admission.mu.Unlock()
	if !t.signedIn && !t.returned {
		t.unlist()
		t.signedIn = true
		t.admission.unsigned--
		t.admission.depart(t.address)
	}
}

// giveBack takes the connection out of all counts.
func (t *ticket) giveBack() {
	t.admission.mu.Lock()
	defer t.admission.mu.Unlock()
	if t.returned {
		return
	}
	t.unlist()
	t.returned = true
	t.admission.uncount(t.address, t.user, t.signedIn)
}

// handOver leaves the connection's place to its session at the relay, which gives it back by leave.
func (t *ticket) handOver() {
	t.admission.mu.Lock()
	defer t.admission.mu.Unlock()
	t.returned = true
}

// leave takes a connection out of all counts after handOver.
func (a *admission) leave(address netip.Prefix, user string, signedIn bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.uncount(address, user, signedIn)
}

func (a *admission) uncount(address netip.Prefix, user string, signedIn bool) {
	if user != "" {
		add(a.users, user, -1)
	}
	add(a.addresses, address, -1)
	a.total--
	if !signedIn {
		a.unsigned--
		a.depart(address)
	}
}

func (t *ticket) dropUser() {
	if t.user != "" {
		add(t.admission.users, t.user, -1)
		t.user = ""
	}
}

// counts returns the connections before and after sign-in.
func (a *admission) counts() (unsigned, signed int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unsigned, a.total - a.unsigned
}
