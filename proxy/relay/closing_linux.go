package relay

import "golang.org/x/sys/unix"

// finish begins the end of a session: the mailbox server is closed now, the client when it has its farewell.
func (l *link) finish(r Reason, now int64) {
	if l.phase != carrying {
		return
	}
	l.reason = r
	f := l.farewell(r, l.upstream.held.len() > 0)
	if f.held {
		l.client.write(l.upstream.held.bytes())
	}
	l.upstream.sayClose()
	l.upstream.closeFD()
	l.abort(now)
	if f.line != "" {
		l.client.write([]byte(f.line))
	}
	l.phase = f.next
	l.closeBy(now + int64(l.loop.opts.LingerTimeout))
	l.closeFurther(now)
}

// mayLeaveFirst says whether the client is closed without waiting for its own end: it has logged out, that was
// answered, and nothing that it sent is unread. TLS clients send an end of their own, which would meet a closed
// connection.
func (l *link) mayLeaveFirst() bool {
	return l.loggedOut && l.client.tls == nil && l.client.reads == readQuiet && l.client.held.len() == 0
}

// closeBy has the loop look at the link at each tick, up to a deadline.
func (l *link) closeBy(deadline int64) {
	if l.deadline == 0 {
		l.loop.closing = append(l.loop.closing, l)
	}
	l.deadline = deadline
}

// closeFurther takes a link that is ending as far as it goes now.
func (l *link) closeFurther(now int64) {
	if l.phase == carrying {
		l.awaitServer(now)
		return
	}
	if l.phase == parting && l.client.pending == nil && l.client.reads != readFailed {
		l.client.sayClose()
		if l.phase.over(l.parted(false)) {
			l.close()
			return
		}
		l.client.shut()
		if l.client.writes == writeShut {
			l.phase = lingering
			l.deadline = min(l.deadline, now+int64(closeLinger))
		}
	}
	if l.phase.over(l.parted(now >= l.deadline)) {
		l.close()
		return
	}
	l.client.await(true)
}

// parted is what phase.over goes by.
func (l *link) parted(late bool) parted {
	return parted{
		client: l.client.reads, sent: l.client.pending == nil, leaves: l.mayLeaveFirst(),
		delivered: l.phase == resetting && l.client.delivered(), late: late,
	}
}

// awaitServer ends a session whose client has ended its stream when the deadline has passed. A mailbox server that
// takes what it was sent moves the deadline: the kernel tells that by the acknowledged bytes, long before it has room
// for more.
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

// close releases everything. It is the only way out of a loop. A client that has not got all that was meant for it is
// reset.
func (l *link) close() {
	if l.phase == closed {
		return
	}
	if l.phase == resetting || l.client.pending != nil {
		l.client.reset()
	}
	l.phase = closed
	defer l.loop.drained()
	ending := Ending{
		Reason: l.reason, ClientBytes: l.clientBytes, ServerBytes: l.serverBytes,
		Commands: uint64(l.tracker.commands), Opaque: l.opaque,
	}
	defer l.owner.Ended(ending)
	defer l.loop.forget(l)
	defer l.ended(ending)
	l.loop.unqueue(&l.client)
	l.loop.unqueue(&l.upstream)
	l.client.closeFD()
	l.upstream.closeFD()
	l.over(l.loop.opts.Now())
}

// delivered says whether the peer has acknowledged all we sent.
func (e *end) delivered() bool {
	return e.pending == nil && unacknowledged(int(e.fd)) == 0
}

// reset has the close that follows cut the connection.
func (e *end) reset() {
	if e.fd >= 0 {
		unix.SetsockoptLinger(int(e.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
}

// sayClose ends our direction for what is written, and sends TLS's close_notify.
func (e *end) sayClose() {
	if e.writes != writeOpen || e.reads == readFailed || e.fd < 0 {
		return
	}
	e.writes.on(writeLast)
	if e.tls == nil {
		return
	}
	lp := e.link.loop
	lp.work.gather = lp.work.gather[:0]
	if e.tls.CloseWrite() == nil {
		e.send(lp.work.gather)
	}
}

// shut ends our direction behind the bytes still pending.
func (e *end) shut() {
	e.sayClose()
	e.writes.on(writeShuts)
	e.shutNow()
}

func (e *end) shutNow() {
	if e.writes == writeShutting && e.pending == nil && e.fd >= 0 {
		e.writes.on(writeDone)
		unix.Shutdown(int(e.fd), unix.SHUT_WR)
	}
}
