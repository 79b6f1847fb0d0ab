package relay

import (
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
	phase    phase
	owner    Owner
	running  sync.WaitGroup // the readers and writers
	silence  *time.Timer    // ends the session when its client has said nothing for too long
	linger   *time.Timer    // ends a session some time after its client's end of stream; nil before
	looks    *time.Timer    // calls look
	untaken  int            // bytes that the server's kernel had not acknowledged at the last look

	clientBytes, serverBytes uint64
}

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
		l.conclude()
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
		Opaque: l.opaque,
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
		if l.phase != carrying {
			return
		}
		switch closed, reset := l.client.under.gone(); {
		case reset:
			l.client.reads.on(readBreaks)
		case closed:
			l.client.reads.on(readClosing)
		}
		untaken := l.upstream.under.unacknowledged()
		if untaken < l.untaken {
			l.flows()
		}
		l.untaken = untaken
		l.conclude()
		l.looks.Reset(tick)
	})
}

// bound has the session end LingerTimeout after its client's end of stream.
func (l *pumpLink) bound() {
	if l.linger == nil {
		l.linger = l.after(l.relay.opts.LingerTimeout, ReasonClient)
	}
}

// flows is called when bytes flow: the time of bound starts again.
func (l *pumpLink) flows() {
	if l.linger != nil && l.phase == carrying {
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
		if l.phase != carrying {
			break
		}
		l.guard(func() {
			e.note(err)
			l.use(e, buf[:n])
			l.conclude()
		})
	}
	if e == &l.client {
		l.discard(buf)
	}
}

// mayRead waits until more of an end can be used. It answers false when nothing more is to be read.
func (l *pumpLink) mayRead(e *pumpEnd) bool {
	for l.phase == carrying && !e.reads.ended() {
		if l.mayUse(e) {
			if e == &l.upstream {
				l.tracker.resume(l.relay.opts.Now())
			}
			return true
		}
		if e == &l.upstream {
			l.tracker.pause(l.relay.opts.Now())
		}
		l.changed.Wait()
	}
	return false
}

// mayUse says whether more of an end can be used.
func (l *pumpLink) mayUse(e *pumpEnd) bool {
	if e == &l.client {
		return len(l.upstream.pending) < pumpBuffer && len(l.client.pending) < 3*pumpBuffer && l.mayReadClient()
	}
	return len(l.client.pending) < pumpBuffer
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
}

// conclude takes the next step towards the session's end, if there is one.
func (l *pumpLink) conclude() {
	if l.phase != carrying {
		return
	}
	switch step, reason := l.next(l.circumstances()); step {
	case stepDrop, stepFinish:
		l.finish(reason)
	case stepPassEnd:
		l.bound()
		l.halfClose()
	case stepBound:
		l.bound()
	}
}

// circumstances are what next goes by.
func (l *pumpLink) circumstances() circumstances {
	c, u := &l.client, &l.upstream
	return circumstances{
		client: c.reads, server: u.reads, clientHeld: len(c.held) > 0, serverHeld: len(u.held) > 0,
		stalled: len(c.held) > 0 && !l.mayReadClient(), stuck: !l.mayUse(c), unsent: len(u.pending) > 0,
		halfClosed: u.writes.shuts(), drain: l.relay.drain,
	}
}

// halfClose passes the client's end of stream on, behind all it has sent. Answers still flow.
func (l *pumpLink) halfClose() {
	l.upstream.write(l.client.held)
	l.client.held = nil
	l.upstream.shut()
}

// guard runs f so that a panic ends this session alone.
func (l *pumpLink) guard(f func()) {
	defer func() {
		if r := recover(); r != nil {
			l.relay.stats.Panics++
			l.relay.opts.Panicked(r, debug.Stack())
			if l.phase == carrying {
				l.reason = ReasonError
			}
			l.leave(resetting)
		}
	}()
	f()
}

// finish begins the end of the session; see the loops' link.
func (l *pumpLink) finish(r Reason) {
	if l.phase != carrying {
		return
	}
	l.reason = r
	f := l.farewell(r, len(l.upstream.held) > 0)
	if f.held {
		l.client.write(l.upstream.held)
	}
	l.client.write([]byte(f.line))
	l.leave(f.next)
}

// leave ends the carrying: the mailbox server is closed, the client gets its last bytes.
func (l *pumpLink) leave(next phase) {
	l.phase = next
	l.client.shut()
	l.upstream.pending = nil
	l.upstream.shut()
	l.upstream.under.Close()
	l.abort(l.relay.opts.Now())
	l.client.under.SetDeadline(time.Now().Add(l.relay.opts.LingerTimeout))
	l.changed.Broadcast()
}

// discard reads on until the client closes, so that what was said last is not lost in a reset; a stream that was cut
// is reset when the client has what was sent. It is called with the mutex, which it gives back meanwhile.
func (l *pumpLink) discard(buf []byte) {
	c, p := &l.client, l.relay
	for l.phase == carrying || c.writes != writeShut {
		l.changed.Wait()
	}
	if l.phase == parting {
		l.phase = lingering
	}
	now, end := l.phase, time.Now().Add(p.patience())
	is := parted{client: c.reads, sent: true}
	p.mu.Unlock()
	defer p.mu.Lock()
	if now == resetting {
		for is.delivered = c.under.unacknowledged() == 0; !now.over(is); is.late = !time.Now().Before(end) {
			time.Sleep(tick / 10)
			is.delivered = c.under.unacknowledged() == 0
		}
		setLinger(c.under)
		return
	}
	c.under.SetReadDeadline(end)
	for !now.over(is) {
		if _, err := c.conn.Read(buf); err != nil {
			is.client.on(readBreaks)
		}
	}
}

// toClient, toServer and whose implement ends.
func (l *pumpLink) toClient(p []byte) { l.client.write(p) }
func (l *pumpLink) toServer(p []byte) { l.upstream.write(p) }
func (l *pumpLink) whose() Owner      { return l.owner }
