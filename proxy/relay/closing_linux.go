package relay

import "golang.org/x/sys/unix"

// Two words: half-close is the end of our sending direction (shutdown). Close releases the descriptor.

// finish begins the end of a session: it closes the mailbox server now, and the client after the farewell.
func (l *link) finish(r Reason, now int64) {
	if l.phase != phaseCarrying {
		return
	}
	l.reason = r
	f := l.farewell(r, l.upstream.held.len() > 0)
	if f.held {
		l.client.write(l.upstream.held.bytes())
	}
	l.upstream.endWrites()
	l.upstream.closeFD()
	l.abort(now)
	if f.line != "" {
		l.client.write([]byte(f.line))
	}
	l.phase = f.next
	l.setDeadline(now + int64(l.loop.opts.LingerTimeout))
	l.advanceEnd(now)
}

// mayLeaveFirst says whether the client may be closed before it closes: its LOGOUT was answered, and nothing that it
// sent is unread. A TLS client sends a close_notify, for which the connection must still be open.
func (l *link) mayLeaveFirst() bool {
	return l.loggedOut && l.client.tls == nil && l.client.reads == readEmpty && l.client.held.len() == 0
}

// setDeadline has the loop call advanceEnd at each tick, up to a deadline.
func (l *link) setDeadline(deadline int64) {
	if l.deadline == 0 {
		l.loop.closing = append(l.loop.closing, l)
	}
	l.deadline = deadline
}

// advanceEnd takes a link that is ending as far as is possible now.
func (l *link) advanceEnd(now int64) {
	if l.phase == phaseCarrying {
		l.awaitServer(now)
		return
	}
	if l.phase == phaseParting && l.client.pending == nil && l.client.reads != readFailed {
		l.client.endWrites()
		if l.phase.mayClose(l.endingClient(false)) {
			l.close()
			return
		}
		l.client.halfClose()
		if l.client.writes == writeHalfClosed {
			l.phase = phaseLingering
			l.deadline = min(l.deadline, now+int64(closeLinger))
		}
	}
	if l.phase.mayClose(l.endingClient(now >= l.deadline)) {
		l.close()
		return
	}
	l.client.awaitEvents(true)
}

// endingClient returns what phase.mayClose decides by.
func (l *link) endingClient(late bool) endingClient {
	return endingClient{
		reads: l.client.reads, sentAll: l.client.pending == nil, needNotWait: l.mayLeaveFirst(),
		delivered: l.phase == phaseResetting && l.client.delivered(), late: late,
	}
}

// awaitServer ends a session after its deadline, if the client has ended its stream. The deadline moves while the
// mailbox server takes bytes. The kernel shows that by the acknowledged bytes, long before it has room for more.
func (l *link) awaitServer(now int64) {
	untaken := int32(l.upstream.pending.size() + unacknowledged(int(l.upstream.fd)))
	if untaken < l.untaken {
		l.deadline = now + int64(l.loop.opts.LingerTimeout)
	}
	l.untaken = untaken
	if now >= l.deadline {
		l.finish(ReasonClient, now)
	}
}

// close releases everything. It is the only way out of a loop. If the client has not got all its bytes, close resets
// the connection.
func (l *link) close() {
	if l.phase == phaseClosed {
		return
	}
	if l.phase == phaseResetting || l.client.pending != nil {
		l.client.reset()
	}
	l.phase = phaseClosed
	defer l.loop.signalEmpty()
	ending := Ending{
		Reason: l.reason, ClientBytes: l.clientBytes, ServerBytes: l.serverBytes,
		Commands: uint64(l.tracker.numAnswered), Opaque: l.opaque,
	}
	defer l.owner.Ended(ending)
	defer l.loop.forget(l)
	defer l.notifyEnded(ending)
	l.loop.unqueue(&l.client)
	l.loop.unqueue(&l.upstream)
	l.client.closeFD()
	l.upstream.closeFD()
	l.releaseTables(l.loop.opts.Now())
}

// delivered says whether the peer has acknowledged all bytes that we sent.
func (e *end) delivered() bool {
	return e.pending == nil && unacknowledged(int(e.fd)) == 0
}

// reset makes the close that follows reset the connection.
func (e *end) reset() {
	if e.fd >= 0 {
		unix.SetsockoptLinger(int(e.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
}

// endWrites accepts no more bytes to write, and sends TLS's close_notify.
func (e *end) endWrites() {
	if e.writes != writeOpen || e.reads == readFailed || e.fd < 0 {
		return
	}
	e.writes.advance(eventLastWrite)
	if e.tls == nil {
		return
	}
	lp := e.link.loop
	lp.work.gather = lp.work.gather[:0]
	if e.tls.CloseWrite() == nil {
		e.send(lp.work.gather)
	}
}

// halfClose half-closes the connection once the pending bytes are sent.
func (e *end) halfClose() {
	e.endWrites()
	e.writes.advance(eventHalfClose)
	e.halfCloseIfSent()
}

// halfCloseIfSent does the half-close that is due, unless bytes are pending.
func (e *end) halfCloseIfSent() {
	if e.writes == writeHalfClosing && e.pending == nil && e.fd >= 0 {
		e.writes.advance(eventHalfClosed)
		unix.Shutdown(int(e.fd), unix.SHUT_WR)
	}
}
