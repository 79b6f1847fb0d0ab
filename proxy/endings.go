package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"portico/proxy/relay"
)

// relayed is what the proxy remembers of a session while the relay carries it.
type relayed struct {
	next   *relayed // in endings
	id     [16]byte // as text; not a string of its own, of which each would hold a page of garbage
	user   string
	server string
	base   string // the database
	remote netip.AddrPort
	door   string
	ticket *ticket
	to     *endings
	ending relay.Ending
}

// User implements relay.Owner.
func (r *relayed) User() string { return r.user }

// Ended implements relay.Owner.
func (r *relayed) Ended(e relay.Ending) {
	r.ending = e
	r.to.put(r)
}

// endings takes sessions that are over off the relay's hands. put is called by the loops and must not hold them up: it takes no
// lock and waits for nobody. What was put is worked off by a goroutine that lives as long as there is something; as a session
// keeps its place in the counts until then, the list can not outgrow the limit of connections.
type endings struct {
	log     zerolog.Logger
	list    atomic.Pointer[relayed]
	workers sync.WaitGroup
}

// put hands a session over.
func (e *endings) put(r *relayed) {
	for {
		head := e.list.Load()
		r.next = head
		if !e.list.CompareAndSwap(head, r) {
			continue
		}
		if head == nil {
			e.workers.Go(e.work)
		}
		return
	}
}

// work takes the whole list and goes through it.
func (e *endings) work() {
	for r := e.list.Swap(nil); r != nil; r = r.next {
		r.ticket.giveBack()
		e.log.Info().Bytes("session", r.id[:]).Str("listener", r.door).Stringer("remote", r.remote).Str("user", r.user).
			Str("server", r.server).Stringer("reason", r.ending.Reason).Uint64("client_bytes", r.ending.ClientBytes).
			Uint64("server_bytes", r.ending.ServerBytes).Uint64("commands", r.ending.Commands).
			Bool("unjudged", r.ending.Unjudged).Msg("session ended")
	}
}

// wait returns when all that was put is worked off. Nothing may be put any more.
func (e *endings) wait() { e.workers.Wait() }
