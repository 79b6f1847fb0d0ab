package relay

import "golang.org/x/sys/unix"

// finish begins the end of a session: the mailbox server is closed now, the client when it has all that is meant for
// it. Where the client was cut off in the middle of a response it is reset, so that nothing cut passes for whole.
//
// The mailbox server's last bytes, too few to know what they are, are passed on where it said no more.
func (l *link) finish(r Reason, now int64) {
	if l.phase != carrying {
		return
	}
	l.reason = r
	line, whole := l.farewell(r)
	if (r == ReasonServer || r == ReasonLogout) && l.upstream.held.len() > 0 {
		l.client.write(l.upstream.held.bytes())
		line, whole = "", r == ReasonLogout
	}
	l.upstream.sayClose()
	l.upstream.closeFD()
	l.abort(now)
	if line != "" {
		l.client.write([]byte(line))
	}
	l.phase = parting
	if !whole {
		l.phase = resetting
	}
	l.closeBy(now + int64(l.loop.opts.LingerTimeout))
	l.closeFurther(now)
}

// mayLeaveFirst says whether the client is closed without waiting for its own end: it has logged out, that was
// answered, and nothing that it sent is unread. TLS clients send an end of their own, which would meet a closed
// connection.
func (l *link) mayLeaveFirst() bool {
	return l.loggedOut && l.client.tls == nil && !l.client.more && l.client.held.len() == 0
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
	late := now >= l.deadline
	if l.phase == parting && l.client.pending == nil && !l.client.broken {
		l.client.sayClose()
		// nothing comes that would turn the close into a reset
		if l.client.pending == nil && (l.client.eof || l.mayLeaveFirst()) {
			l.close()
			return
		}
		l.client.shut()
		if l.client.shutDone {
			l.phase = lingering
			l.deadline = min(l.deadline, now+int64(closeLinger))
			late = now >= l.deadline
		}
	}
	switch {
	case l.phase == closed:
	case late, l.client.broken,
		l.phase == lingering && l.client.eof,
		l.phase == resetting && l.client.delivered():
		l.close()
	default:
		l.client.await(!l.client.eof)
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
		Commands: uint64(l.tracker.commands), Unjudged: l.unjudged,
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

// sayClose sends TLS's close_notify, once.
func (e *end) sayClose() {
	if e.tls == nil || e.saidClose || e.broken || e.fd < 0 {
		return
	}
	e.saidClose = true
	lp := e.link.loop
	lp.work.gather = lp.work.gather[:0]
	if e.tls.CloseWrite() == nil {
		e.send(lp.work.gather)
	}
}

// shut ends our direction behind the bytes still pending.
func (e *end) shut() {
	e.sayClose()
	e.shutWanted = true
	e.shutNow()
}

func (e *end) shutNow() {
	if e.shutWanted && !e.shutDone && e.pending == nil && e.fd >= 0 {
		e.shutDone = true
		unix.Shutdown(int(e.fd), unix.SHUT_WR)
	}
}
