package proxy

import (
	"encoding/hex"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"portico/proxy/relay"
	"portico/proxy/wire"
)

// relayed is all that the proxy keeps of a session while the relay carries it. Each session has one, so it is small: it
// shares what many sessions have in common, and keeps nothing that only the sign-in needed.
type relayed struct {
	next   *relayed // in endings
	server *Server
	shared *sharedInfo
	user   string         // held by admission.keep
	ending *relay.Ending  // nil while it is carried
	id     [8]byte        // as bytes
	remote compactAddress // the client's
	rows   uint16         // of the protocol log that its set-up could have
}

// sharedInfo is what many sessions have in common.
type sharedInfo struct {
	server, database, listener string
	local                      netip.AddrPort // where the client has connected to
}

// compactAddress is an address and a port in a little more than half of the room that netip takes; without a zone.
type compactAddress struct {
	addr [16]byte
	port uint16
	bits uint8 // 0 is no address
}

func compact(a netip.AddrPort) compactAddress {
	return compactAddress{addr: a.Addr().As16(), port: a.Port(), bits: uint8(a.Addr().BitLen())}
}

// AddrPort returns the address as all else has it.
func (c compactAddress) AddrPort() netip.AddrPort {
	addr := netip.AddrFrom16(c.addr)
	switch c.bits {
	case 0:
		addr = netip.Addr{}
	case 32:
		addr = addr.Unmap()
	}
	return netip.AddrPortFrom(addr, c.port)
}

// User implements relay.Owner.
func (r *relayed) User() string { return r.user }

// Ended implements relay.Owner.
func (r *relayed) Ended(e relay.Ending) {
	r.ending = &e
	r.server.ended.put(r)
}

// sharedInfos returns the same sharedInfo to all sessions that have it in common. It holds one for each combination of
// mailbox server, database, listener and local address. Proxies in front can name any local address, so it holds at
// most maxSharedInfos. It is safe for concurrent use.
type sharedInfos struct {
	mu  sync.Mutex
	all map[sharedInfo]*sharedInfo
}

// maxSharedInfos bounds the map; when it is full, an empty one replaces it.
const maxSharedInfos = 10_000

func (p *sharedInfos) get(at sharedInfo) *sharedInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	if shared := p.all[at]; shared != nil {
		return shared
	}
	if p.all == nil || len(p.all) >= maxSharedInfos {
		p.all = make(map[sharedInfo]*sharedInfo)
	}
	shared := new(sharedInfo)
	*shared = at
	p.all[at] = shared
	return shared
}

// endings logs and counts sessions that the relay has ended. The loops call put, which takes no lock and does not wait.
// A sign-in thread works the list off between set-ups, because it is awake while users come and go. A goroutine for
// each session would wake other threads. A session keeps its place in the counts until then, so the list cannot become
// longer than the limit of connections.
type endings struct {
	log       zerolog.Logger
	admission *admission
	post      func(func()) bool // makes a sign-in thread call a function; false if none is left; nil without threads
	list      atomic.Pointer[relayed]
	workers   sync.WaitGroup // lists to be worked off
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
			e.workers.Add(1)
			if e.post == nil || !e.post(e.work) {
				go e.work()
			}
		}
		return
	}
}

// work takes the whole list and goes through it.
func (e *endings) work() {
	defer e.workers.Done()
	for r := e.list.Swap(nil); r != nil; {
		next := r.next
		r.next = nil // somebody may keep one of them
		remote := r.remote.AddrPort()
		e.admission.leave(addressKey(remote.Addr()), r.user, true)
		if event := e.log.Info(); event.Enabled() {
			event.Str("session", hex.EncodeToString(r.id[:])).Str("listener", r.shared.listener).
				Stringer("remote", remote).Str("user", wire.Visible(r.user)).
				Str("server", r.shared.server).Stringer("reason", r.ending.Reason).
				Uint64("client_bytes", r.ending.ClientBytes).
				Uint64("server_bytes", r.ending.ServerBytes).Uint64("commands", r.ending.Commands).
				Bool("unjudged", r.ending.Opaque).Msg("session ended")
		}
		r = next
	}
}

// wait returns when all that was put is worked off. Nothing may be put any more.
func (e *endings) wait() { e.workers.Wait() }
