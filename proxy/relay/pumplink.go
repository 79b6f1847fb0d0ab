package relay

import (
	"errors"
	"io"
	"runtime/debug"
	"sync"
	"time"
)

// pumpLink is a session on pumps. Its fields are guarded by the relay's mutex, which no one holds while reading or
// writing.
type pumpLink struct {
	session
	relay    *Pumps
	changed  *sync.Cond
	client   pumpEnd
	upstream pumpEnd
	phase    pumpPhase
	owner    Owner
	running  sync.WaitGroup // the readers and writers
	silence  *time.Timer    // ends the session when its client has said nothing for too long
	linger   *time.Timer    // ends a session some time after its client's end of stream; nil before
	looks    *time.Timer    // calls look
	untaken  int            // bytes that the server's kernel had not acknowledged at the last look

	clientBytes, serverBytes uint64
}

type pumpPhase uint8

const (
	pumpCarrying pumpPhase = iota
	pumpParting            // the client gets its last bytes; the server is closed
	pumpCutting            // as before, but the client is then reset
)

// run carries the session, beginning with what came before the relay did, and releases it.
func (l *pumpLink) run(fromClient, fromServer []byte) {
	p := l.relay
	p.mu.Lock()
	l.silence = l.after(p.opts.IdleTimeout, ReasonIdle)
	l.client.under.setKeepAlive(p.opts.KeepAlive, p.opts.StallTimeout)
	l.upstream.under.setKeepAlive(p.opts.KeepAlive, p.opts.UserTimeout)
	l.looks = time.AfterFunc(tick, l.look)
	l.guard(func() {
		l.use(&l.upstream, fromServer)
		l.use(&l.client, fromClient)
	})
	p.mu.Unlock()
	l.running.Go(func() { l.readFrom(&l.upstream) })
	l.running.Go(func() { l.writeTo(&l.client) })
	l.running.Go(func() { l.writeTo(&l.upstream) })
	l.readFrom(&l.client)
	l.running.Wait()
	l.client.under.Close()
	l.upstream.under.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.emptied.Broadcast()
	l.silence.Stop()
	l.looks.Stop()
	if l.linger != nil {
		l.linger.Stop()
	}
	ending := Ending{
		Reason: l.reason, ClientBytes: l.clientBytes, ServerBytes: l.serverBytes, Commands: uint64(l.tracker.commands),
		Unjudged: l.unjudged,
	}
	l.guard(func() { l.over(p.opts.Now()) })
	l.guard(func() { l.ended(ending) })
	l.guard(func() { p.forget(l) })
	l.guard(func() { l.owner.Ended(ending) })
}

// after ends the session some time from now, unless the timer is stopped.
func (l *pumpLink) after(d time.Duration, r Reason) *time.Timer {
	return time.AfterFunc(d, func() {
		l.relay.mu.Lock()
		defer l.relay.mu.Unlock()
		l.guard(func() { l.finish(r) })
	})
}

// look learns what neither reading nor writing tells: that a client which may not be read has gone, and that the
// mailbox server takes what it was sent.
func (l *pumpLink) look() {
	l.relay.mu.Lock()
	defer l.relay.mu.Unlock()
	l.guard(func() {
		closed, reset := l.client.under.gone()
		untaken := l.upstream.under.unacknowledged()
		switch {
		case l.phase != pumpCarrying:
			return
		case reset:
			l.finish(ReasonClient)
			return
		case untaken < l.untaken:
			l.flows()
		case closed:
			l.lingers()
		}
		l.untaken = untaken
		l.looks.Reset(tick)
	})
}

// lingers has the session end LingerTimeout after its client's end of stream.
func (l *pumpLink) lingers() {
	if l.linger == nil {
		l.linger = l.after(l.relay.opts.LingerTimeout, ReasonClient)
	}
}

// flows is called when bytes flow: the time of lingers starts afresh.
func (l *pumpLink) flows() {
	if l.linger != nil && l.phase == pumpCarrying {
		l.linger.Reset(l.relay.opts.LingerTimeout)
	}
}

// readFrom is the goroutine that reads one end.
func (l *pumpLink) readFrom(e *pumpEnd) {
	buf := make([]byte, pumpBuffer)
	p := l.relay
	p.mu.Lock()
	defer p.mu.Unlock()
	for l.mayRead(e) {
		p.mu.Unlock()
		n, err := e.conn.Read(buf)
		p.mu.Lock()
		if l.phase != pumpCarrying {
			break
		}
		l.guard(func() {
			l.use(e, buf[:n])
			if err != nil {
				l.readEnded(e, err)
			}
		})
	}
	if e == &l.client {
		l.discard(buf)
	}
}

// mayRead waits until more of an end can be used. It answers false when nothing more is to be read.
func (l *pumpLink) mayRead(e *pumpEnd) bool {
	for l.phase == pumpCarrying && !e.eof && !e.broken {
		if e == &l.client && len(l.upstream.pending) < pumpBuffer && len(l.client.pending) < 3*pumpBuffer &&
			l.mayReadClient() {
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

// use hands what was read to the session, and what of the client had to wait for that.
func (l *pumpLink) use(e *pumpEnd, p []byte) {
	defer l.changed.Broadcast()
	now := l.relay.opts.Now()
	e.held = append(e.held, p...)
	if len(p) > 0 {
		l.flows()
	}
	if e == &l.upstream {
		l.serverBytes += uint64(len(p))
		l.tracker.stats.ServerBytes += uint64(len(p))
		e.held = e.held[l.fromServer(e.held, now):]
	} else if len(p) > 0 {
		l.clientBytes += uint64(len(p))
		l.tracker.stats.ClientBytes += uint64(len(p))
		l.silence.Reset(l.relay.opts.IdleTimeout)
	}
	if c := &l.client; e == c || l.mayReadClient() {
		c.held = c.held[l.fromClient(c.held, now):]
	}
	l.conclude()
}

// conclude draws the conclusions from what has happened.
func (l *pumpLink) conclude() {
	quiet := !l.tracker.busy() && l.atClientBoundary() && len(l.client.held) == 0 && l.atServerBoundary()
	switch {
	case l.phase != pumpCarrying:
	case l.ending:
		l.finish(l.reason)
	case l.relay.draining && (quiet || l.relay.late):
		l.finish(ReasonDrain)
	case l.client.eof && quiet && len(l.upstream.pending) == 0: // no answer is waited for
		l.finish(ReasonClient)
	case l.client.eof:
		l.halfClose()
	}
}

// halfClose passes the client's end of stream on, behind all it has sent. Answers still flow, for a time.
func (l *pumpLink) halfClose() {
	l.lingers()
	if len(l.client.held) > 0 && !l.mayReadClient() { // later
		return
	}
	l.upstream.write(l.client.held)
	l.client.held = nil
	l.upstream.close()
}

// guard runs f so that a panic ends this session alone.
func (l *pumpLink) guard(f func()) {
	defer func() {
		if r := recover(); r != nil {
			l.relay.stats.Panics++
			l.relay.opts.Panicked(r, debug.Stack())
			if l.phase == pumpCarrying {
				l.reason = ReasonError
			}
			l.leave(pumpCutting)
		}
	}()
	f()
}

// readEnded says what it means that an end gives no more.
func (l *pumpLink) readEnded(e *pumpEnd, err error) {
	e.eof = err == io.EOF || e == &l.client && errors.Is(err, io.ErrUnexpectedEOF)
	e.broken = !e.eof
	switch {
	case e.broken && e == &l.client:
		l.finish(ReasonClient)
	case e == &l.client:
		l.conclude()
	case l.saidBye, l.unjudged && e.eof:
		l.finish(ReasonLogout)
	case l.client.eof && l.atServerBoundary() && len(e.held) == 0:
		l.finish(ReasonClient)
	default:
		l.finish(ReasonServer)
	}
	l.changed.Broadcast()
}

// finish begins the end of the session; see the loops' link.
func (l *pumpLink) finish(r Reason) {
	if l.phase != pumpCarrying {
		return
	}
	l.reason = r
	line, whole := l.farewell(r)
	if (r == ReasonServer || r == ReasonLogout) && len(l.upstream.held) > 0 {
		l.client.write(l.upstream.held)
		line, whole = "", r == ReasonLogout
	}
	l.client.write([]byte(line))
	if whole {
		l.leave(pumpParting)
	} else {
		l.leave(pumpCutting)
	}
}

// leave ends the carrying: the mailbox server is closed, the client gets its last bytes.
func (l *pumpLink) leave(phase pumpPhase) {
	l.phase = phase
	l.client.shut = true
	l.upstream.pending, l.upstream.shut = nil, true
	l.upstream.under.Close()
	l.abort(l.relay.opts.Now())
	l.client.under.SetDeadline(time.Now().Add(l.relay.opts.LingerTimeout))
	l.changed.Broadcast()
}

// discard reads on until the client closes, so that what was said last is not lost in a reset; a stream that was cut
// is reset when the client has what was sent. It is called with the mutex, which it gives back meanwhile.
func (l *pumpLink) discard(buf []byte) {
	c, p := &l.client, l.relay
	for l.phase == pumpCarrying || !c.written {
		l.changed.Wait()
	}
	cut, patience := l.phase == pumpCutting, p.patience()
	p.mu.Unlock()
	defer p.mu.Lock()
	if cut {
		c.awaitDelivery(patience)
		setLinger(c.under)
		return
	}
	c.under.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, err := c.conn.Read(buf); err != nil {
			break
		}
	}
}

// toClient, toServer and whose implement ends.
func (l *pumpLink) toClient(p []byte) { l.client.write(p) }
func (l *pumpLink) toServer(p []byte) { l.upstream.write(p) }
func (l *pumpLink) whose() Owner      { return l.owner }
