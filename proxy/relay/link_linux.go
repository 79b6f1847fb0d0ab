package relay

import (
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// link is a session on a loop, which owns it and both its connections.
type link struct {
	session
	loop         *loop
	client       end
	upstream     end
	clientSentAt int64 // when the client last sent bytes
	deadline     int64 // of the phases after phaseCarrying, and of a half-closed session; 0 = none
	clientBytes  uint64
	serverBytes  uint64
	phase        phase
	swept        bool  // the sweep has set the keep-alives
	turn         uint8 // of the loop's batch, when the link last had an event
	throttled    bool  // the client is not read: its user has sent too many commands
	untaken      int32 // bytes that the mailbox server had not taken at awaitServer's last call
	owner        Owner
}

// newLink takes both connections from the set-up. If it fails or panics, it closes both and calls Owner.Ended.
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

// toClient, toServer and sessionOwner implement ends.
func (l *link) toClient(p []byte)   { l.client.write(p) }
func (l *link) toServer(p []byte)   { l.upstream.write(p) }
func (l *link) sessionOwner() Owner { return l.owner }

// abandon closes the connections of a link that no loop has seen.
func (l *link) abandon(r Reason) {
	l.reason = r
	l.client.closeFD()
	l.upstream.closeFD()
	l.owner.Ended(Ending{Reason: r})
}

// start uses the bytes that came before the relay had the session, and starts to wait for more.
func (l *link) start(fromClient, fromServer []byte) {
	now := l.loop.opts.Now()
	if len(fromServer) > 0 {
		l.count(&l.upstream, len(fromServer), now)
		l.feed(&l.upstream, fromServer, now)
	}
	if len(fromClient) > 0 {
		l.count(&l.client, len(fromClient), now)
		l.feed(&l.client, fromClient, now)
	}
	for _, e := range [...]*end{&l.client, &l.upstream} {
		if e.tls != nil { // it may have read records in the set-up phase
			e.reads.advance(eventBytes)
		}
	}
	l.settle(now)
}

// protect runs f so that a panic ends this session alone.
func (l *link) protect(f func()) {
	defer l.recoverPanic()
	f()
}

func (l *link) recoverPanic() {
	if r := recover(); r != nil {
		l.loop.stats.Panics++
		l.loop.opts.Panicked(r, debug.Stack())
		l.kill(ReasonError)
	}
}

// kill ends the session at once, whatever state it is in.
func (l *link) kill(r Reason) {
	if l.phase == phaseClosed {
		return
	}
	l.phase, l.reason = phaseResetting, r
	l.protect(l.close)
}

// serve handles an event on one of the ends.
func (l *link) serve(e *end, events uint32) {
	defer l.recoverPanic()
	now := l.loop.opts.Now()
	if e.pending != nil && events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		e.flush()
	}
	switch {
	case e.isClient() && l.phase == phaseCarrying && events&(unix.EPOLLERR|unix.EPOLLHUP) != 0:
		e.reads.advance(eventReadError) // reset: also while it is not read
	case events&unix.EPOLLERR != 0:
		e.reads.advance(eventFailure)
	case events&(unix.EPOLLRDHUP|unix.EPOLLHUP) != 0:
		e.reads.advance(eventClose)
	case events&unix.EPOLLIN != 0:
		e.reads.advance(eventBytes)
	}
	if events&^unix.EPOLLOUT != 0 {
		l.read(e, now)
	}
	l.settle(now)
}

// read reads one share of what an end has sent.
func (l *link) read(e *end, now int64) {
	switch {
	case l.phase == phaseClosed:
		return
	case l.phase != phaseCarrying:
		e.discard()
		return
	case !l.mayRead(e), e.stalled: // the state in reads remembers it; settle first uses the held bytes
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
	l.feed(e, buf[:kept+n], now)
}

// share returns how much to read from an end at most. If the mailbox server sends much, its share is what the client's
// socket has room for, so that few bytes are left pending. A client's share stays small, because Portico's answer to a
// command is longer than the command.
func (l *link) share(e *end) int {
	if !e.bulk || e.isClient() {
		return readSize
	}
	return min(max(sendRoom(int(l.client.fd)), readSize), bulkSize)
}

// count counts bytes that an end has sent.
func (l *link) count(e *end, n int, now int64) {
	if e.isClient() {
		l.clientSentAt = now
		if l.deadline != 0 {
			l.deadline = now + int64(l.loop.opts.LingerTimeout)
		}
		l.clientBytes += uint64(n)
		l.tracker.stats.addClientBytes(n)
	} else {
		l.serverBytes += uint64(n)
		l.tracker.stats.addServerBytes(n)
		if l.deadline != 0 { // half-closed: as long as answers flow
			l.deadline = now + int64(l.loop.opts.LingerTimeout)
		}
	}
}

// feed gives bytes to the session and keeps what it did not use.
func (l *link) feed(e *end, p []byte, now int64) {
	var n int
	if e.isClient() {
		before := l.tracker.numBegun()
		n = l.fromClient(p, now)
		l.spend(l.tracker.numBegun()-before, now)
	} else {
		n = l.fromServer(p, now)
	}
	e.stalled = false
	e.held.drop() // p may be the held bytes
	if n < len(p) {
		e.held.add(p[n:])
		e.stalled = e.isClient() && !l.mayReadClient()
	}
}

// mayRead says whether an end may be read now.
func (l *link) mayRead(e *end) bool { return !e.reads.ended() && l.mayUse(e) }

// mayUse says whether more of an end can be used. The bytes that result are kept only in the other end's pending bytes,
// so these are bounded. If the client does not read, the relay still reads the client, as the mailbox server would,
// unless Portico's own lines make the client's pending bytes grow.
func (l *link) mayUse(e *end) bool {
	if l.phase != phaseCarrying {
		return false
	}
	if e.isClient() {
		return !l.throttled && l.upstream.pending == nil && l.client.pending.size() < maxPending && l.mayReadClient()
	}
	return l.client.pending == nil && l.upstream.pending.size() < maxPending // TLS answers key updates
}

// settle does what follows from new bytes or states: it uses held bytes, ends the session, pauses the clocks, and sets
// the events to wait for.
func (l *link) settle(now int64) {
	for l.phase == phaseCarrying && l.client.stalled && l.mayUse(&l.client) && !l.ending {
		l.feed(&l.client, l.client.held.bytes(), now)
	}
	if l.phase == phaseCarrying && l.mayEnd() {
		l.loop.alone(func() { l.settleEnds(now) })
	}
	if l.phase != phaseCarrying {
		l.advanceEnd(now)
		return
	}
	if l.client.pending != nil {
		l.tracker.pause(now)
	} else if l.tracker.pausing {
		l.tracker.resume(now)
	}
	l.client.awaitEvents(l.mayRead(&l.client))
	l.upstream.awaitEvents(l.mayRead(&l.upstream))
}

// mayEnd says whether settleEnds may have something to do.
func (l *link) mayEnd() bool {
	return l.ending || l.client.reads.hungUp() || l.upstream.reads.ended() || l.loop.drain.stage != drainNone
}

// settleEnds takes the next step towards the session's end, if there is one.
func (l *link) settleEnds(now int64) {
	switch step, reason := l.nextStep(l.circumstances()); step {
	case stepDrop:
		l.reason = reason
		l.close()
	case stepFinish:
		l.finish(reason, now)
	case stepPassEOF:
		l.limitTime(now)
		l.passEOF()
	case stepLimitTime:
		l.limitTime(now)
	}
}

// circumstances returns what nextStep decides by.
func (l *link) circumstances() circumstances {
	c, u := &l.client, &l.upstream
	return circumstances{
		client: c.reads, server: u.reads, clientHeld: c.held.len() > 0, serverHeld: u.held.len() > 0,
		stalled: c.stalled, stuck: !l.mayRead(c), unsent: u.pending != nil, halfClosed: u.writes.halfCloses(),
		drain: l.loop.drain.stage,
	}
}

// limitTime ends the session LingerTimeout after its client's end of stream. The deadline moves while bytes flow.
func (l *link) limitTime(now int64) {
	if l.deadline == 0 {
		l.setDeadline(now + int64(l.loop.opts.LingerTimeout))
	}
}

// passEOF forwards the client's held bytes and then its end of stream. Answers still flow.
func (l *link) passEOF() {
	if l.client.held.len() > 0 {
		l.upstream.write(l.client.held.bytes())
		l.client.held.drop()
	}
	l.upstream.halfClose()
}
