package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// pumpBuffer is how much a pump reads at a time. If more bytes than that are unsent, their source is not read.
const pumpBuffer = 32 << 10

// Pumps is the portable Relay: two readers and two writers for each session, on the Go scheduler. It is for systems
// without event loops, where people develop. A session behaves as on Loops, but costs more.
type Pumps struct {
	opts Options
	pool commandPool

	mu      sync.Mutex // guards what follows, and the pool and statistics that the sessions share
	stats   *Stats
	links   map[*pumpLink]struct{}
	drain   drainStage
	closed  bool
	emptied *sync.Cond
}

// NewPumps returns a portable relay.
func NewPumps(opts Options) (*Pumps, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	p := &Pumps{opts: opts, stats: NewStats(), links: make(map[*pumpLink]struct{})}
	p.emptied = sync.NewCond(&p.mu)
	return p, nil
}

// Add implements Relay.
func (p *Pumps) Add(s Session) error {
	l, err := p.newLink(s)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		s.refuse(ReasonClosed)
		return ErrClosed
	}
	l.tracker.stats = p.stats.countersOf(s)
	l.tracker.stats.pool = &p.pool
	l.tracker.stats.addSessions(1)
	p.links[l] = struct{}{}
	l.protect(func() { p.watch(l) })
	go l.run(s.Client.Rest, s.Upstream.Rest)
	return nil
}

// newLink takes both connections from the set-up. If it fails or panics, it closes both and calls Owner.Ended.
func (p *Pumps) newLink(s Session) (*pumpLink, error) {
	taken := false
	defer func() {
		if !taken {
			s.refuse(ReasonError)
		}
	}()
	if err := errors.Join(s.Client.Conn.Release(), s.Upstream.Conn.Release()); err != nil {
		return nil, fmt.Errorf("hand over to the relay: %w", err)
	}
	l := &pumpLink{relay: p, owner: s.Owner}
	l.changed = sync.NewCond(&p.mu)
	l.client = pumpEnd{link: l, conn: s.Client.stream(), under: s.Client.Conn}
	l.upstream = pumpEnd{link: l, conn: s.Upstream.stream(), under: s.Upstream.Conn}
	l.out = l
	l.offers, l.extensions = s.Offers, s.Extensions
	taken = true
	return l, nil
}

// refuse closes the connections of a session that is not carried, and calls Owner.Ended.
func (s Session) refuse(r Reason) {
	s.Client.Conn.Close()
	s.Upstream.Conn.Close()
	s.Owner.Ended(Ending{Reason: r})
}

// stream returns the connection to read and write: TLS if this end has it.
func (e End) stream() net.Conn {
	if e.TLS != nil {
		return e.TLS
	}
	return e.Conn
}

// forget removes a session that has ended, and counts it.
func (p *Pumps) forget(l *pumpLink) {
	delete(p.links, l)
	p.stats.Ended[l.reason]++
	l.tracker.stats.addSessions(-1)
}

// Drain implements Relay.
func (p *Pumps) Drain(ctx context.Context) {
	stop := context.AfterFunc(ctx, p.endDrain)
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drain = max(p.drain, drainQuiet)
	for l := range p.links {
		l.protect(l.settleEnds)
	}
	p.waitEmpty()
}

// endDrain ends the remaining sessions, with or without open commands, and those that come later.
func (p *Pumps) endDrain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drain = drainAll
	for l := range p.links {
		l.protect(l.settleEnds)
	}
}

// closeTimeout returns how long a client may take for its last bytes.
func (p *Pumps) closeTimeout() time.Duration {
	if p.closed {
		return tick
	}
	return closeLinger
}

// waitEmpty waits until no session is left. The caller holds mu.
func (p *Pumps) waitEmpty() {
	for len(p.links) > 0 {
		p.emptied.Wait()
	}
}

// End implements Relay. It ends all at once.
func (p *Pumps) End(pick func(Owner) bool, r Reason, _ time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ending []*pumpLink
	for l := range p.links {
		l.protect(func() {
			if pick(l.owner) {
				ending = append(ending, l)
				l.finish(r)
			}
		})
	}
	for _, l := range ending {
		for _, there := p.links[l]; there; _, there = p.links[l] {
			p.emptied.Wait()
		}
	}
}

// Sessions implements Relay. It does not know how long a client has been silent.
func (p *Pumps) Sessions() []Carried {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Carried
	for l := range p.links {
		all = append(all, l.describe(p.opts.Now(), 0))
	}
	return all
}

// Slow implements Relay.
func (p *Pumps) Slow() []SlowCommand {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []SlowCommand
	for name, server := range p.stats.Servers {
		all = server.appendSlow(all, name, p.opts.Now())
	}
	return all
}

// Retime implements Relay.
func (p *Pumps) Retime(idle, keepAlive time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opts.IdleTimeout, p.opts.KeepAlive = idle, keepAlive
	for l := range p.links {
		if l.idleTimer != nil && l.phase == phaseCarrying {
			l.idleTimer.Reset(p.opts.IdleTimeout)
		}
	}
}

// watch asks who watches a session.
func (p *Pumps) watch(l *pumpLink) {
	if p.opts.Watch != nil {
		l.observe(p.opts.Watch(0, l.owner, uint64(l.tracker.numAnswered)))
	}
}

// Rewatch implements Relay.
func (p *Pumps) Rewatch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.protect(func() { p.watch(l) })
	}
}

// Limit implements Relay. It does nothing.
func (p *Pumps) Limit(_, _ int) {}

// Close implements Relay.
func (p *Pumps) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for l := range p.links {
		l.protect(func() { l.finish(ReasonClosed) })
		l.client.under.SetDeadline(time.Now().Add(tick))
	}
	p.waitEmpty()
}

// Stats implements Relay.
func (p *Pumps) Stats() *Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats.Clone()
}
