package admin

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// connSlots are the connections of one listener, at most max. If all slots are taken, a new connection replaces one
// that is not being answered: one that has sent half a request, or none. If all are being answered, the reader that
// has taken longest gives way.
type connSlots struct {
	max       int
	displaced prometheus.Counter

	mu    sync.Mutex
	conns map[*slotConn]struct{}
	clock uint64        // counts what happens, so that the longest ago is the least
	freed chan struct{} // closed and replaced when a slot is free again, or the listener is closed
	ended bool
}

func newConnSlots(most int, displaced prometheus.Counter) *connSlots {
	return &connSlots{max: most, displaced: displaced, conns: make(map[*slotConn]struct{}), freed: make(chan struct{})}
}

// slotConn is a connection that has a slot.
type slotConn struct {
	net.Conn
	of *connSlots

	// connSlots.mu guards the rest
	since   uint64 // when its state has changed
	answers int    // requests that are being answered
	keeps   bool   // and one of them must not be cut
}

// enter gives a connection a slot, and waits for one if necessary. What has come before the listener was closed is
// answered too, so then nothing waits.
func (p *connSlots) enter(conn net.Conn) *slotConn {
	for {
		p.mu.Lock()
		if len(p.conns) < p.max || p.ended {
			slotted := &slotConn{Conn: conn, of: p, since: p.tick()}
			p.conns[slotted] = struct{}{}
			p.mu.Unlock()
			return slotted
		}
		loser, freed := p.loser(), p.freed
		p.mu.Unlock()
		if loser != nil {
			loser.Close()
			p.displaced.Inc()
			continue
		}
		<-freed
	}
}

// loser returns the connection that has to give way, nil if none can. The caller holds mu.
func (p *connSlots) loser() (found *slotConn) {
	worse := func(a, b *slotConn) bool {
		if (a.answers == 0) != (b.answers == 0) {
			return a.answers == 0
		}
		return a.since < b.since
	}
	for conn := range p.conns {
		if !conn.keeps && (found == nil || worse(conn, found)) {
			found = conn
		}
	}
	return found
}

// tick returns the next moment. The caller holds mu.
func (p *connSlots) tick() uint64 {
	p.clock++
	return p.clock
}

// end lets enter return, once the listener is closed.
func (p *connSlots) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.wake()
}

// wake lets all look again who wait. The caller holds mu.
func (p *connSlots) wake() {
	close(p.freed)
	p.freed = make(chan struct{})
}

// wait returns when all connections are closed, or ctx ends.
func (p *connSlots) wait(ctx context.Context) {
	for {
		p.mu.Lock()
		open, freed := len(p.conns), p.freed
		p.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return
		}
	}
}

// Close frees the slot.
func (c *slotConn) Close() error {
	p := c.of
	p.mu.Lock()
	if _, there := p.conns[c]; there {
		delete(p.conns, c)
		p.wake()
	}
	p.mu.Unlock()
	return c.Conn.Close()
}

// answering notes that a whole request has come and is answered until done is called. What changes something, or is
// read as it goes on, is not cut for others.
func (c *slotConn) answering(keep bool) (done func()) {
	p := c.of
	p.mu.Lock()
	defer p.mu.Unlock()
	c.answers++
	c.keeps = c.keeps || keep
	c.since = p.tick()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if c.answers--; c.answers == 0 {
			c.keeps = false
		}
		c.since = p.tick()
	}
}

// keepsSlot says whether a request must not be cut for others: changes, and what lasts, which has slots of its own.
func keepsSlot(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead || lasts(r)
}
