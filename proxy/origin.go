package proxy

import (
	"container/heap"
	"net/netip"
	"time"
)

// origin is a client address (of IPv6 a network) with connections before sign-in. A connection whose user is not
// proved may have to give way to a new one: it is in one of the lists, by what it waits for.
type origin struct {
	number    int        // all connections before sign-in
	shared    bool       // many clients come from there, so that it has no bound of its own
	silent    ticketList // we wait for the client
	exchanges ticketList // of silent, those that hold a connection to a mailbox server
	waiting   ticketList // the client waits for us
	at        int        // in the heap
}

// longSilence is how long a client may be silent before it gives way wherever it comes from. A client that signs in
// speaks sooner.
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

// before says whether a connection of o gives way before one of other: where most are. Among equals it is the one
// that has waited longest.
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
	c[i].at, c[j].at = i, j
}

// Push implements heap.Interface.
func (c *originHeap) Push(x any) {
	o := x.(*origin)
	o.at = len(*c)
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
	heap.Fix(&a.originHeap, o.at)
}

// depart undoes arrive.
func (a *admission) depart(key netip.Prefix) {
	if o := a.origins[key]; o != nil {
		if o.number--; o.number == 0 {
			heap.Remove(&a.originHeap, o.at)
			delete(a.origins, key)
		}
	}
}

// yielding returns the ticket of all that gives way first, or nil: that of the client that has been silent longest,
// if for long, and else one of the address that has most. So whoever waits for us is not sent away by strangers
// from addresses that have more.
func (a *admission) yielding() *ticket {
	if t := a.silent.first; t != nil && a.now().Sub(t.since) >= longSilence || len(a.originHeap) == 0 {
		return t
	}
	return a.originHeap[0].first()
}

// giveWay ends the connection of a ticket, if there is one, and takes its place from it. The outcome is for a
// client that was silent.
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
	a.left(t.address, "", false)
	c.endWith(o)
	return true
}

// shed ends up to n connections before sign-in, as descriptors or memory are short. It returns how many. A sign-in
// that asks for it does not end itself; asking is nil if none asks.
func (a *admission) shed(n int, asking *ticket) (ended int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if asking != nil && asking.state == stateWaiting {
		client := asking.client
		asking.unlist()
		defer asking.list(client, stateWaiting)
	}
	for ended < n && a.giveWay(a.yielding(), OutcomeGaveWayResources) {
		ended++
	}
	return ended
}
