package proxy

import (
	"container/heap"
	"net/netip"
	"time"
)

// origin is a client address (for IPv6 a network) with connections before sign-in. A connection whose user is not
// proved may have to give way to a new one. Such a connection is in one of the lists, by what it waits for.
type origin struct {
	number    int        // all connections before sign-in
	shared    bool       // many clients use the address, so it has no bound of its own
	silent    ticketList // we wait for the client
	exchanges ticketList // of silent, those that hold a connection to a mailbox server
	waiting   ticketList // the client waits for us
	heapIndex int        // in originHeap
}

// longSilence is how long a client may be silent before it gives way, whatever its address. A client that signs in
// sends its commands sooner.
const longSilence = 3 * time.Second

// first returns the origin's ticket that gives way first, or nil.
func (o *origin) first() *ticket {
	if o.silent.first != nil {
		return o.silent.first
	}
	return o.waiting.first
}

// weight is how many connections the origin has that may have to give way. Those of an address that many share
// count as one.
func (o *origin) weight() int {
	n := o.silent.number + o.waiting.number
	if o.shared {
		return min(n, 1)
	}
	return n
}

// before says whether a connection of o gives way before one of other: the address with more connections comes first.
// Among equals the connection that has waited longest comes first.
func (o *origin) before(other *origin) bool {
	if w, v := o.weight(), other.weight(); w != v {
		return w > v
	}
	t, u := o.first(), other.first()
	return t != nil && u != nil && t.since.Before(u.since)
}

// originHeap is all origins, as a heap: connections of the first one give way first.
type originHeap []*origin

func (c originHeap) Len() int           { return len(c) }
func (c originHeap) Less(i, j int) bool { return c[i].before(c[j]) }
func (c originHeap) Swap(i, j int) {
	c[i], c[j] = c[j], c[i]
	c[i].heapIndex, c[j].heapIndex = i, j
}

// Push implements heap.Interface.
func (c *originHeap) Push(x any) {
	o := x.(*origin)
	o.heapIndex = len(*c)
	*c = append(*c, o)
}

// Pop implements heap.Interface.
func (c *originHeap) Pop() any {
	last := len(*c) - 1
	o := (*c)[last]
	(*c)[last] = nil
	*c = (*c)[:last]
	return o
}

// arrive counts a connection before sign-in for its address.
func (a *admission) arrive(key netip.Prefix, shared bool) {
	o := a.origins[key]
	if o == nil {
		o = &origin{
			silent: ticketList{kind: ofAddress}, exchanges: ticketList{kind: ofExchanges},
			waiting: ticketList{kind: ofAddress},
		}
		a.origins[key] = o
		heap.Push(&a.originHeap, o)
	}
	o.number++
	o.shared = shared
	heap.Fix(&a.originHeap, o.heapIndex)
}

// depart undoes arrive.
func (a *admission) depart(key netip.Prefix) {
	if o := a.origins[key]; o != nil {
		if o.number--; o.number == 0 {
			heap.Remove(&a.originHeap, o.heapIndex)
			delete(a.origins, key)
		}
	}
}

// nextToYield returns the ticket that gives way next, or nil. If a client has been silent for longSilence, it is the
// one that has been silent longest. Otherwise it is one of the address with most connections, so that a client that
// waits for us does not lose its place to addresses with more connections.
func (a *admission) nextToYield() *ticket {
	if t := a.silent.first; t != nil && a.now().Sub(t.since) >= longSilence || len(a.originHeap) == 0 {
		return t
	}
	return a.originHeap[0].first()
}

// giveWay ends the connection of a ticket, and frees its place. A client that was silent gets the outcome o. It returns
// false if t is nil.
func (a *admission) giveWay(t *ticket, o Outcome) bool {
	if t == nil {
		return false
	}
	if t.state == stateWaiting {
		o = OutcomeGaveWayWaiting
	}
	c := t.client
	t.unlist()
	t.returned = true
	a.uncount(t.address, "", false)
	c.endWith(o)
	return true
}

// shed ends up to n connections before sign-in, because descriptors or memory are short, and returns how many it has
// ended. It never ends the connection of except, the sign-in that needs them; nil for none.
func (a *admission) shed(n int, except *ticket) (ended int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if except != nil && except.state == stateWaiting {
		client := except.client
		except.unlist()
		defer except.list(client, stateWaiting)
	}
	for ended < n && a.giveWay(a.nextToYield(), OutcomeGaveWayResources) {
		ended++
	}
	return ended
}
