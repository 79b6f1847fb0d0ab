package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// pumpBuffer is how much a pump reads at a time, and beyond which unsent bytes stop the reading of their source.
const pumpBuffer = 32 << 10

// Pumps is the portable Relay: two readers and two writers for each session, on the Go scheduler. It is for systems without
// event loops, where people develop; it carries a session as well as Loops does, but not as cheaply.
type Pumps struct {
	opts Options
	pool commandPool

	mu       sync.Mutex // guards what follows, and the pool and statistics that the sessions share
	stats    *Stats
	links    map[*pumpLink]struct{}
	draining bool
	closed   bool
	emptied  *sync.Cond
}

// NewPumps returns a portable relay.
func NewPumps(opts Options) *Pumps {
	p := &Pumps{opts: opts.withDefaults(), stats: NewStats(), links: make(map[*pumpLink]struct{})}
	p.emptied = sync.NewCond(&p.mu)
	return p
}

// pumpLink is a session on pumps. Its fields are guarded by the relay's mutex, which no one holds while reading or writing.
type pumpLink struct {
	session
	relay    *Pumps
	changed  *sync.Cond
	client   pumpEnd
	upstream pumpEnd
	phase    pumpPhase
	ended    func(Ending)
	running  sync.WaitGroup // the readers and writers

	clientBytes, serverBytes uint64
}

type pumpPhase uint8

const (
	pumpCarrying pumpPhase = iota
	pumpParting            // the client gets its last bytes; the server is closed
	pumpCutting            // as before, but the client is then reset
)

// pumpEnd is one of its connections, and implements sink.
type pumpEnd struct {
	link    *pumpLink
	conn    net.Conn
	under   *Conn
	held    []byte // read and not used
	pending []byte // not written yet
	eof     bool
	broken  bool
	shut    bool // end our direction behind pending
}

func (e *pumpEnd) write(p []byte) {
	if !e.broken && !e.shut {
		e.pending = append(e.pending, p...)
		e.link.changed.Broadcast()
	}
}

// Add implements Relay.
func (p *Pumps) Add(s Session) error {
	l := &pumpLink{relay: p, ended: s.Ended}
	l.changed = sync.NewCond(&p.mu)
	l.client = pumpEnd{link: l, conn: s.Client.over(), under: s.Client.Conn}
	l.upstream = pumpEnd{link: l, conn: s.Upstream.over(), under: s.Upstream.Conn}
	l.toClient, l.toServer = &l.client, &l.upstream
	l.offers = s.Offers
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		s.Client.Conn.Close()
		s.Upstream.Conn.Close()
		l.ended(Ending{Reason: ReasonClosed})
		return ErrClosed
	}
	l.all, l.tracker.pool, l.tracker.stats = p.stats, &p.pool, p.stats.Server(s.Server)
	l.tracker.stats.Sessions++
	p.links[l] = struct{}{}
	l.client.held = append(l.client.held, s.Client.Rest...)
	l.upstream.held = append(l.upstream.held, s.Upstream.Rest...)
	go l.run()
	return nil
}

// over returns the connection to read and write.
func (e End) over() net.Conn {
	if e.TLS != nil {
		return e.TLS
	}
	return e.Conn
}

// run carries the session and releases it.
func (l *pumpLink) run() {
	l.running.Go(func() { l.readFrom(&l.upstream) })
	l.running.Go(func() { l.writeTo(&l.client) })
	l.running.Go(func() { l.writeTo(&l.upstream) })
	l.readFrom(&l.client)
	l.running.Wait()
	l.client.under.Close()
	l.upstream.under.Close()
	p := l.relay
	p.mu.Lock()
	defer p.mu.Unlock()
	ending := Ending{
		Reason: l.reason, ClientBytes: l.clientBytes, ServerBytes: l.serverBytes, Commands: l.tracker.commands, Unjudged: l.unjudged,
	}
	l.over()
	l.tracker.stats.Sessions--
	p.stats.Ended[l.reason]++
	delete(p.links, l)
	p.emptied.Broadcast()
	l.ended(ending)
}

// readFrom is the goroutine that reads one end.
func (l *pumpLink) readFrom(e *pumpEnd) {
	buf := make([]byte, pumpBuffer)
	p := l.relay
	p.mu.Lock()
	defer p.mu.Unlock()
	l.use(e, nil)
	for l.mayRead(e) {
		if e == &l.client {
			e.conn.SetReadDeadline(time.Now().Add(p.opts.IdleTimeout))
		}
		p.mu.Unlock()
		n, err := e.conn.Read(buf)
		p.mu.Lock()
		if l.phase != pumpCarrying {
			break
		}
		l.count(e, n)
		l.use(e, buf[:n])
		if err != nil {
			l.readEnded(e, err)
		}
	}
	if e == &l.client {
		l.discard(buf)
	}
}

// mayRead waits until more of an end can be used. It answers false when nothing more is to be read.
func (l *pumpLink) mayRead(e *pumpEnd) bool {
	for l.phase == pumpCarrying && !e.eof && !e.broken {
		if e == &l.client && len(l.upstream.pending) < pumpBuffer && len(l.client.pending) < 2*pumpBuffer && l.mayReadClient() {
			return true
		}
		if e == &l.upstream && len(l.client.pending) < pumpBuffer {
			l.tracker.resume(l.relay.opts.Now())
			return true
		}
		if e == &l.upstream {
			l.tracker.pause(l.relay.opts.Now())
		}
		l.changed.Wait()
	}
	return false
}

func (l *pumpLink) count(e *pumpEnd, n int) {
	if e == &l.client {
		l.clientBytes += uint64(n)
		l.tracker.stats.ClientBytes += uint64(n)
	} else {
		l.serverBytes += uint64(n)
		l.tracker.stats.ServerBytes += uint64(n)
	}
}

// use hands what was read to the session, and what of the client had to wait for that.
func (l *pumpLink) use(e *pumpEnd, p []byte) {
	defer l.changed.Broadcast()
	defer l.recovered()
	now := l.relay.opts.Now()
	e.held = append(e.held, p...)
	if e == &l.upstream {
		e.held = e.held[l.fromServer(e.held, now):]
	}
	if c := &l.client; e == c || l.mayReadClient() {
		c.held = c.held[l.fromClient(c.held, now):]
	}
	l.conclude()
}

// conclude ends the session where that has become due.
func (l *pumpLink) conclude() {
	quiet := !l.tracker.busy() && l.commands.AtLineStart() && len(l.client.held) == 0 && l.atServerBoundary()
	switch {
	case l.ending:
		l.finish(l.reason)
	case l.relay.draining && quiet:
		l.finish(ReasonDrain)
	}
}

func (l *pumpLink) recovered() {
	if r := recover(); r != nil {
		l.relay.stats.Panics++
		l.phase, l.reason = pumpCutting, ReasonError
		l.upstream.conn.Close()
	}
}

// readEnded says what it means that an end gives no more.
func (l *pumpLink) readEnded(e *pumpEnd, err error) {
	e.eof = err == io.EOF || e == &l.client && errors.Is(err, io.ErrUnexpectedEOF)
	e.broken = !e.eof
	var late net.Error
	switch {
	case e == &l.client && errors.As(err, &late) && late.Timeout():
		e.broken = false
		l.finish(ReasonIdle)
	case e.broken && e == &l.client:
		l.finish(ReasonClient)
	case e == &l.client:
		l.upstream.write(e.held)
		l.upstream.shut = true
		time.AfterFunc(l.relay.opts.LingerTimeout, func() { l.under(func() { l.finish(ReasonClient) }) })
	case l.saidBye, l.unjudged && e.eof:
		l.finish(ReasonLogout)
	case l.client.eof && l.atServerBoundary() && len(e.held) == 0:
		l.finish(ReasonClient)
	default:
		l.finish(ReasonServer)
	}
	l.changed.Broadcast()
}

// under runs f with the relay's mutex.
func (l *pumpLink) under(f func()) {
	l.relay.mu.Lock()
	defer l.relay.mu.Unlock()
	f()
}

// finish begins the end of the session; see the loops' link.
func (l *pumpLink) finish(r Reason) {
	if l.phase != pumpCarrying {
		return
	}
	l.reason = r
	line, whole := l.farewell(r)
	if r == ReasonServer && len(l.upstream.held) > 0 {
		l.client.write(l.upstream.held)
		line, whole = "", l.saidBye
	}
	l.client.write([]byte(line))
	l.phase = pumpParting
	if !whole {
		l.phase = pumpCutting
	}
	l.client.shut = true
	l.upstream.pending, l.upstream.shut = nil, true
	l.upstream.under.Close()
	l.client.conn.SetDeadline(time.Now().Add(closeLinger))
	l.changed.Broadcast()
}

// writeTo is the goroutine that writes one end.
func (l *pumpLink) writeTo(e *pumpEnd) {
	p := l.relay
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for len(e.pending) == 0 && !e.shut && !e.broken {
			l.changed.Wait()
		}
		if len(e.pending) == 0 || e.broken {
			break
		}
		out := e.pending
		e.pending = nil
		p.mu.Unlock()
		_, err := e.conn.Write(out)
		p.mu.Lock()
		if err != nil {
			e.broken, e.pending = true, nil
			if e == &l.client {
				l.finish(ReasonClient)
			}
		}
		l.changed.Broadcast()
	}
	if e.shut && !e.broken && l.phase != pumpCutting {
		closeWrite(e.conn, e.under)
	}
}

// discard reads on until the client closes, so that what was said last is not lost in a reset; a stream that was cut is reset.
// It is called with the mutex, which it gives back meanwhile.
func (l *pumpLink) discard(buf []byte) {
	for l.phase == pumpCarrying || len(l.client.pending) > 0 && !l.client.broken {
		l.changed.Wait()
	}
	if l.phase == pumpCutting {
		setLinger(l.client.under)
		return
	}
	l.relay.mu.Unlock()
	for {
		if _, err := l.client.conn.Read(buf); err != nil {
			break
		}
	}
	l.relay.mu.Lock()
}

func closeWrite(conns ...net.Conn) {
	for _, c := range conns {
		if c, ok := c.(interface{ CloseWrite() error }); ok {
			c.CloseWrite()
		}
	}
}

// CloseWrite ends our direction of the connection, in its first life.
func (c *Conn) CloseWrite() error {
	if c, ok := c.net.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

func setLinger(c *Conn) {
	if c, ok := c.net.(interface{ SetLinger(int) error }); ok {
		c.SetLinger(0)
	}
}

// Drain implements Relay.
func (p *Pumps) Drain(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { p.finishAll(ReasonDrain, false) })
	defer stop()
	p.mu.Lock()
	p.draining = true
	p.mu.Unlock()
	p.finishAll(ReasonDrain, true)
	p.wait()
}

func (p *Pumps) finishAll(r Reason, onlyQuiet bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		if onlyQuiet {
			l.conclude()
		} else {
			l.finish(r)
		}
	}
}

func (p *Pumps) wait() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.links) > 0 {
		p.emptied.Wait()
	}
}

// Close implements Relay.
func (p *Pumps) Close() {
	p.mu.Lock()
	p.closed = true
	for l := range p.links {
		l.finish(ReasonClosed)
		l.client.conn.SetDeadline(time.Now().Add(tick))
	}
	p.mu.Unlock()
	p.wait()
}

// Stats implements Relay.
func (p *Pumps) Stats() *Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats.Clone()
}
