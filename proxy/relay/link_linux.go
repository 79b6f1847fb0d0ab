package relay

import (
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// link is a session on a loop, which owns it and both its connections.
type link struct {
	session
	loop        *loop
	client      end
	upstream    end
	heard       int64 // when the client last sent something
	deadline    int64 // of the phases after carrying, and of a half-closed session; 0 = none
	clientBytes uint64
	serverBytes uint64
	phase       phase
	seen        bool  // the sweep has been here
	turn        uint8 // of the loop's batch, when it last had an event
	throttled   bool  // the client is not read: its user has sent too many commands
	untaken     int32 // bytes that the mailbox server had not taken when awaitServer looked last
	owner       Owner
}

// newLink takes both connections from the set-up. When it fails or panics, both are closed and the owner knows.
func newLink(lp *loop, s Session) (*link, error) {
	l := &link{loop: lp, owner: s.Owner}
	taken := false
	defer func() {
		if !taken {
			s.Client.Conn.Close()
			s.Upstream.Conn.Close()
			l.abandon(ReasonError)
		}
	}()
	l.offers, l.extensions = s.Offers, s.Extensions
	l.out = l
	l.client = end{link: l, fd: -1}
	l.upstream = end{link: l, fd: -1}
	err := l.client.take(lp, s.Client)
	if err == nil {
		err = l.upstream.take(lp, s.Upstream)
	}
	if err != nil {
		return nil, err
	}
	taken = true
	return l, nil
}

// toClient, toServer and whose implement ends.
func (l *link) toClient(p []byte) { l.client.write(p) }
func (l *link) toServer(p []byte) { l.upstream.write(p) }
func (l *link) whose() Owner      { return l.owner }

// abandon closes the connections of a link that no loop has seen.
func (l *link) abandon(r Reason) {
	l.reason = r
	l.client.closeFD()
	l.upstream.closeFD()
	l.owner.Ended(Ending{Reason: r})
}

// begin carries what came before the relay did, and starts listening.
func (l *link) begin(fromClient, fromServer []byte) {
	now := l.loop.opts.Now()
	if len(fromServer) > 0 {
		l.count(&l.upstream, len(fromServer), now)
		l.used(&l.upstream, fromServer, now)
	}
	if len(fromClient) > 0 {
		l.count(&l.client, len(fromClient), now)
		l.used(&l.client, fromClient, now)
	}
	for _, e := range [...]*end{&l.client, &l.upstream} {
		if e.tls != nil { // it may have read records in its first life
			e.reads.on(readReported)
		}
	}
	l.settle(now)
}

// guard runs f so that a panic ends this session alone.
func (l *link) guard(f func()) {
	defer l.recovered()
	f()
}

func (l *link) recovered() {
	if r := recover(); r != nil {
		l.loop.stats.Panics++
		l.loop.opts.Panicked(r, debug.Stack())
		l.cut(ReasonError)
	}
}

// cut ends the session here and now, whatever state it is in.
func (l *link) cut(r Reason) {
	if l.phase == closed {
		return
	}
	l.phase, l.reason = resetting, r
	l.guard(l.close)
}

// serve handles an event on one of the ends.
func (l *link) serve(e *end, events uint32) {
	defer l.recovered()
	now := l.loop.opts.Now()
	if e.pending != nil && events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		e.flush()
	}
	switch {
	case e.isClient() && l.phase == carrying && events&(unix.EPOLLERR|unix.EPOLLHUP) != 0:
		e.reads.on(readBreaks) // reset: also where it is not read now
	case events&unix.EPOLLERR != 0:
		e.reads.on(readBreaking)
	case events&(unix.EPOLLRDHUP|unix.EPOLLHUP) != 0:
		e.reads.on(readClosing)
	case events&unix.EPOLLIN != 0:
		e.reads.on(readReported)
	}
	if events&^unix.EPOLLOUT != 0 {
		l.read(e, now)
	}
	l.settle(now)
}

// read takes one share of what an end has to say.
func (l *link) read(e *end, now int64) {
	switch {
	case l.phase == closed:
		return
	case l.phase != carrying:
		e.discard()
		return
	case !l.mayRead(e), e.stalled: // reads remembers it; settle uses up what is held first
		return
	}
	size := l.share(e)
	buf := l.loop.readBuffer(size)
	kept := copy(buf, e.held.bytes())
	n := e.read(buf[kept : kept+size])
	e.bulk = n >= readSize
	if n == 0 {
		return
	}
	l.count(e, n, now)
	l.used(e, buf[:kept+n], now)
}

// share returns how much to read from an end at most. From a mailbox server that sends much, it is what the client's
// socket has room for, so that hardly anything is left pending. A client's share stays small: commands that Portico
// answers itself lead to more bytes than they have.
func (l *link) share(e *end) int {
	if !e.bulk || e.isClient() {
		return readSize
	}
	return min(max(sendRoom(int(l.client.fd)), readSize), bulkSize)
}

// count counts bytes that an end has sent.
func (l *link) count(e *end, n int, now int64) {
	if e.isClient() {
		l.heard = now
		if l.deadline != 0 {
			l.deadline = now + int64(l.loop.opts.LingerTimeout)
		}
		l.clientBytes += uint64(n)
		l.tracker.stats.ClientBytes += uint64(n)
	} else {
		l.serverBytes += uint64(n)
		l.tracker.stats.ServerBytes += uint64(n)
		if l.deadline != 0 { // half-closed: as long as answers flow
			l.deadline = now + int64(l.loop.opts.LingerTimeout)
		}
	}
}

// used hands bytes to the session and keeps what it did not use.
func (l *link) used(e *end, p []byte, now int64) {
	var n int
	if e.isClient() {
		before := l.tracker.begun()
		n = l.fromClient(p, now)
		l.spend(l.tracker.begun()-before, now)
	} else {
		n = l.fromServer(p, now)
	}
	e.stalled = false
	e.held.drop() // p may be what it was
	if n < len(p) {
		e.held.add(p[n:])
		e.stalled = e.isClient() && !l.mayReadClient()
	}
}

// mayRead says whether an end is to be read.
func (l *link) mayRead(e *end) bool { return !e.reads.ended() && l.mayUse(e) }

// mayUse says whether more of an end can be used: what it leads to is kept nowhere but in the other end's pending
// bytes. A client that does not read is still read, as the mailbox server would, unless answers of ours make its
// pending bytes grow.
func (l *link) mayUse(e *end) bool {
	if l.phase != carrying {
		return false
	}
	if e.isClient() {
		return !l.throttled && l.upstream.pending == nil && l.client.pending.size() < maxPending && l.mayReadClient()
	}
	return l.client.pending == nil && l.upstream.pending.size() < maxPending // TLS answers key updates
}

// settle draws the conclusions from what has happened: more to read, ends to close, other events to wait for.
func (l *link) settle(now int64) {
	for l.phase == carrying && l.client.stalled && l.mayUse(&l.client) && !l.ending {
		l.used(&l.client, l.client.held.bytes(), now)
	}
	if l.phase == carrying && l.mayEnd() {
		l.loop.alone(func() { l.settleEnds(now) })
	}
	if l.phase != carrying {
		l.closeFurther(now)
		return
	}
	if l.client.pending != nil {
		l.tracker.pause(now)
	} else if l.tracker.pausing {
		l.tracker.resume(now)
	}
	l.client.await(l.mayRead(&l.client))
	l.upstream.await(l.mayRead(&l.upstream))
}

// mayEnd says whether settleEnds may have something to do.
func (l *link) mayEnd() bool {
	return l.ending || l.client.reads.hungUp() || l.upstream.reads.ended() || l.loop.drain.stage != drainNone
}

// settleEnds takes the next step towards the session's end, if there is one.
func (l *link) settleEnds(now int64) {
	switch step, reason := l.next(l.circumstances()); step {
	case stepDrop:
		l.reason = reason
		l.close()
	case stepFinish:
		l.finish(reason, now)
	case stepPassEnd:
		l.bound(now)
		l.halfClose()
	case stepBound:
		l.bound(now)
	}
}

// circumstances are what next goes by.
func (l *link) circumstances() circumstances {
	c, u := &l.client, &l.upstream
	return circumstances{
		client: c.reads, server: u.reads, clientHeld: c.held.len() > 0, serverHeld: u.held.len() > 0,
		stalled: c.stalled, stuck: !l.mayRead(c), unsent: u.pending != nil, halfClosed: u.writes.shuts(),
		drain: l.loop.drain.stage,
	}
}

// bound has the session end LingerTimeout after its client's end of stream. As long as bytes flow, it moves on.
func (l *link) bound(now int64) {
	if l.deadline == 0 {
		l.closeBy(now + int64(l.loop.opts.LingerTimeout))
	}
}

// halfClose passes the client's end of stream on, behind all it has sent. Answers still flow.
func (l *link) halfClose() {
	if l.client.held.len() > 0 {
		l.upstream.write(l.client.held.bytes())
		l.client.held.drop()
	}
	l.upstream.shut()
}
