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
	relay       *Pumps
	changed     *sync.Cond
	client      pumpEnd
	upstream    pumpEnd
	phase       phase
	owner       Owner
	running     sync.WaitGroup // the readers and writers
	idleTimer   *time.Timer    // ends the session if its client has sent nothing for too long
	lingerTimer *time.Timer    // ends the session some time after its client's end of stream; nil before that
	checkTimer  *time.Timer    // calls checkPeers
	untaken     int            // bytes that the server's kernel had not acknowledged at the last check

	clientBytes, serverBytes uint64
}

// run uses the bytes that came before the relay had the session, carries the session to its end, and releases it.
func (l *pumpLink) run(fromClient, fromServer []byte) {
	p := l.relay
	p.mu.Lock()
	l.idleTimer = l.after(p.opts.IdleTimeout, ReasonIdle)
	l.client.under.setKeepAlive(p.opts.KeepAlive, p.opts.StallTimeout)
	l.upstream.under.setKeepAlive(p.opts.KeepAlive, p.opts.UserTimeout)
	l.checkTimer = time.AfterFunc(tick, l.checkPeers)
	l.protect(func() {
		l.feed(&l.upstream, fromServer)
		l.feed(&l.client, fromClient)
		l.settleEnds()
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
	l.idleTimer.Stop()
	l.checkTimer.Stop()
	if l.lingerTimer != nil {
		l.lingerTimer.Stop()
	}
	ending := Ending{
		Reason: l.reason, ClientBytes: l.clientBytes, ServerBytes: l.serverBytes,
		Commands: uint64(l.tracker.numAnswered), Opaque: l.opaque,
	}
	l.protect(func() { l.releaseTables(p.opts.Now()) })
	l.protect(func() { l.notifyEnded(ending) })
	l.protect(func() { p.forget(l) })
	l.protect(func() { l.owner.Ended(ending) })
}

// after returns a timer that ends the session.
func (l *pumpLink) after(d time.Duration, r Reason) *time.Timer {
	return time.AfterFunc(d, func() {
		l.relay.mu.Lock()
		defer l.relay.mu.Unlock()
		l.protect(func() { l.finish(r) })
	})
}

// checkPeers finds out what neither reading nor writing shows: whether a client that may not be read has gone, and
// whether the mailbox server takes what it was sent.
func (l *pumpLink) checkPeers() {
	l.relay.mu.Lock()
	defer l.relay.mu.Unlock()
	l.protect(func() {
		if l.phase != phaseCarrying {
			return
		}
		switch closed, reset := l.client.under.gone(); {
		case reset:
			l.client.reads.advance(eventReadError)
		case closed:
			l.client.reads.advance(eventClose)
		}
		untaken := l.upstream.under.unacknowledged()
		if untaken < l.untaken {
			l.extendTime()
		}
		l.untaken = untaken
		l.settleEnds()
		l.checkTimer.Reset(tick)
	})
}

// limitTime ends the session LingerTimeout after its client's end of stream.
func (l *pumpLink) limitTime() {
	if l.lingerTimer == nil {
		l.lingerTimer = l.after(l.relay.opts.LingerTimeout, ReasonClient)
	}
}

// extendTime starts the time of limitTime again, because bytes flow.
func (l *pumpLink) extendTime() {
	if l.lingerTimer != nil && l.phase == phaseCarrying {
		l.lingerTimer.Reset(l.relay.opts.LingerTimeout)
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
		if l.phase != phaseCarrying {
			break
		}
		l.protect(func() {
			e.noteRead(err)
			l.feed(e, buf[:n])
			l.settleEnds()
		})
	}
	if e == &l.client {
		l.discard(buf)
	}
}

// mayRead waits until more of an end can be used. It returns false if the end must not be read any more.
func (l *pumpLink) mayRead(e *pumpEnd) bool {
	for l.phase == phaseCarrying && !e.reads.ended() {
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

// feed gives the bytes read to the session, and then the client's bytes that had to wait for them.
func (l *pumpLink) feed(e *pumpEnd, p []byte) {
	defer l.changed.Broadcast()
	now := l.relay.opts.Now()
	e.held = append(e.held, p...)
	if len(p) > 0 {
		l.extendTime()
	}
	if e == &l.upstream {
		l.serverBytes += uint64(len(p))
		l.tracker.stats.addServerBytes(len(p))
		e.held = e.held[l.fromServer(e.held, now):]
	} else if len(p) > 0 {
		l.clientBytes += uint64(len(p))
		l.tracker.stats.addClientBytes(len(p))
		l.idleTimer.Reset(l.relay.opts.IdleTimeout)
	}
	if c := &l.client; e == c || l.mayReadClient() {
		c.held = c.held[l.fromClient(c.held, now):]
	}
}

// settleEnds takes the next step towards the session's end, if one is due.
func (l *pumpLink) settleEnds() {
	if l.phase != phaseCarrying {
		return
	}
	switch step, reason := l.nextStep(l.circumstances()); step {
	case stepDrop, stepFinish:
		l.finish(reason)
	case stepPassEOF:
		l.limitTime()
		l.passEOF()
	case stepLimitTime:
		l.limitTime()
	}
}

// circumstances returns what nextStep decides by.
func (l *pumpLink) circumstances() circumstances {
	c, u := &l.client, &l.upstream
	return circumstances{
		client: c.reads, server: u.reads, clientHeld: len(c.held) > 0, serverHeld: len(u.held) > 0,
		stalled: len(c.held) > 0 && !l.mayReadClient(), stuck: !l.mayUse(c), unsent: len(u.pending) > 0,
		halfClosed: u.writes.halfCloses(), drain: l.relay.drain,
	}
}

// passEOF forwards the client's held bytes and then its end of stream. Answers still flow.
func (l *pumpLink) passEOF() {
	l.upstream.write(l.client.held)
	l.client.held = nil
	l.upstream.halfClose()
}

// protect runs f so that a panic ends this session alone.
func (l *pumpLink) protect(f func()) {
	defer func() {
		if r := recover(); r != nil {
			l.relay.stats.Panics++
			l.relay.opts.Panicked(r, debug.Stack())
			if l.phase == phaseCarrying {
				l.reason = ReasonError
			}
			l.endCarrying(phaseResetting)
		}
	}()
	f()
}

// finish begins the end of the session, as link.finish does.
func (l *pumpLink) finish(r Reason) {
	if l.phase != phaseCarrying {
		return
	}
	l.reason = r
	f := l.farewell(r, len(l.upstream.held) > 0)
	if f.held {
		l.client.write(l.upstream.held)
	}
	l.client.write([]byte(f.line))
	l.endCarrying(f.next)
}

// endCarrying closes the mailbox server, and half-closes the client after its last bytes.
func (l *pumpLink) endCarrying(next phase) {
	l.phase = next
	l.client.halfClose()
	l.upstream.pending = nil
	l.upstream.halfClose()
	l.upstream.under.Close()
	l.abort(l.relay.opts.Now())
	l.client.under.SetDeadline(time.Now().Add(l.relay.opts.LingerTimeout))
	l.changed.Broadcast()
}

// discard reads until the client closes, so that a reset does not destroy the last bytes. If the stream was cut, it
// resets the connection once the client has the last bytes. The caller holds the mutex; discard unlocks it meanwhile.
func (l *pumpLink) discard(buf []byte) {
	c, p := &l.client, l.relay
	for l.phase == phaseCarrying || c.writes != writeHalfClosed {
		l.changed.Wait()
	}
	if l.phase == phaseParting {
		l.phase = phaseLingering
	}
	phase, deadline := l.phase, time.Now().Add(p.closeTimeout())
	client := endingClient{reads: c.reads, sentAll: true}
	p.mu.Unlock()
	defer p.mu.Lock()
	if phase == phaseResetting {
		client.delivered = c.under.unacknowledged() == 0
		for ; !phase.mayClose(client); client.late = !time.Now().Before(deadline) {
			time.Sleep(tick / 10)
			client.delivered = c.under.unacknowledged() == 0
		}
		setLinger(c.under)
		return
	}
	c.under.SetReadDeadline(deadline)
	for !phase.mayClose(client) {
		if _, err := c.conn.Read(buf); err != nil {
			client.reads.advance(eventReadError)
		}
	}
}

// toClient, toServer and whose implement ends.
func (l *pumpLink) toClient(p []byte)   { l.client.write(p) }
func (l *pumpLink) toServer(p []byte)   { l.upstream.write(p) }
func (l *pumpLink) sessionOwner() Owner { return l.owner }
