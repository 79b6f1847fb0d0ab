package relay

import (
	"syscall"

	"golang.org/x/sys/unix"

	"portico/proxy/poll"
)

const (
	// prefetchSize is how many bytes a loop receives ahead from a connection, and maxPrefetches from how many
	// connections at once.
	prefetchSize  = 8 << 10
	maxPrefetches = 64
	// arenaSize is how many queued bytes wait to be sent at most.
	arenaSize = 128 << 10
)

// batch lets a loop receive and send for several sessions in one system call. A loop's wait returns some events. Before
// the loop serves them, the batch receives for all of them. After the last one, it sends what they have led to. Between
// two waits nothing is queued. A nil batch does nothing.
type batch struct {
	calls     *poll.Batch
	minEvents int   // fewer are not worth a batch
	turn      uint8 // changes with each wait

	buffers    []byte
	prefetches []prefetch
	numGiven   int // of received

	open      bool // what is sent is queued
	arena     []byte
	pieces    []piece
	unsettled []*link // whose bytes were not taken
}

// prefetch is a receive that was done before its event is served.
type prefetch struct {
	event int
	end   *end
	n     int
	errno syscall.Errno
}

// piece is what one end wants sent: arena[from:to].
type piece struct {
	end      *end // nil = it is gone
	from, to int
}

// prefetched has the bytes that were received ahead for the event that is being served.
type prefetched struct {
	unread bool
	fd     int
	data   []byte
	full   bool // the kernel may have more bytes
	errno  syscall.Errno
}

// newBatch returns a batch, or an error that says why the kernel allows none.
func newBatch() (*batch, error) {
	calls, err := poll.NewBatch()
	if err != nil {
		return nil, err
	}
	return &batch{
		calls: calls, minEvents: 2, buffers: make([]byte, maxPrefetches*prefetchSize),
		arena: make([]byte, 0, arenaSize),
	}, nil
}

func (b *batch) release() {
	if b != nil {
		b.calls.Release()
	}
}

// serveEvents serves the events of one wait.
func (lp *loop) serveEvents(events []unix.EpollEvent) {
	b := lp.batch
	if b == nil || len(events) < b.minEvents {
		for i := range events {
			lp.dispatch(&events[i])
		}
		return
	}
	b.receive(lp, events)
	b.open = true
	for i := range events {
		e := b.give(i, &lp.work.prefetched)
		lp.dispatch(&events[i])
		if lp.work.prefetched.unread {
			lp.work.prefetched.unread = false
			e.link.failUnread()
		}
	}
	b.open = false
	lp.deliver()
	lp.settleRest()
}

// receive receives for the events whose bytes can certainly be used. That is certain for a session's first event in a
// wait: no event that is served before it can change what the session may do.
func (b *batch) receive(lp *loop, events []unix.EpollEvent) {
	b.turn++
	b.prefetches, b.numGiven = b.prefetches[:0], 0
	for i := range events {
		e := lp.endOf(&events[i])
		if e == nil || e.link.turn == b.turn {
			continue
		}
		e.link.turn = b.turn
		if len(b.prefetches) == maxPrefetches || events[i].Events != unix.EPOLLIN {
			continue
		}
		if !e.stalled && !e.bulk && e.link.mayRead(e) {
			b.prefetches = append(b.prefetches, prefetch{event: i, end: e})
		}
	}
	if len(b.prefetches) < b.minEvents {
		b.prefetches = b.prefetches[:0]
		return
	}
	for i, a := range b.prefetches {
		b.calls.Receive(a.end.fd, b.buffer(i))
	}
	b.calls.Do()
	for i := range b.prefetches {
		a := &b.prefetches[i]
		a.n, a.errno = b.calls.Result(i)
	}
}

func (b *batch) buffer(i int) []byte { return b.buffers[i*prefetchSize : (i+1)*prefetchSize] }

// give writes to to what was received for an event, and returns the end. It returns nil if nothing was received.
func (b *batch) give(event int, to *prefetched) *end {
	next := b.numGiven
	if next == len(b.prefetches) || b.prefetches[next].event != event {
		return nil
	}
	b.numGiven++
	p := &b.prefetches[next]
	e := p.end
	p.end = nil
	if e.fd >= 0 {
		*to = prefetched{unread: true, fd: int(e.fd), data: b.buffer(next)[:p.n], full: p.n == prefetchSize,
			errno: p.errno}
	}
	return e
}

// receive does what the function receive does, but first uses what was received ahead. It may return bytes and an
// error.
func (r *prefetched) receive(fd int, p []byte) (int, syscall.Errno) {
	if !r.unread || r.fd != fd {
		return receive(fd, p)
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	r.unread = len(r.data) > 0
	if !r.full || n == len(p) {
		return n, r.errno
	}
	r.full = false
	switch more, errno := receive(fd, p[n:]); errno {
	case 0:
		return n + more, 0
	case unix.EAGAIN:
		return n, 0
	default:
		return n, errno
	}
}

// failUnread ends a session whose received bytes were not read. That is a fault of the relay.
func (l *link) failUnread() {
	if l.phase == phaseCarrying {
		l.protect(func() { panic("what was received ahead was not read") })
	}
}

// queue keeps p, to send it together with other ends' bytes. If it returns false, no bytes of e are queued any more,
// and the caller sends p by itself.
func (lp *loop) queue(e *end, p []byte) bool {
	b := lp.batch
	if b == nil || !b.open || e.link.phase != phaseCarrying {
		return false
	}
	last := len(b.pieces) - 1
	joins := last >= 0 && b.pieces[last].end == e
	if len(p) > fewBytes || !joins && (last+1 == poll.BatchSize || b.hasQueued(e)) ||
		len(b.arena)+len(p) > cap(b.arena) {
		lp.deliver() // large pieces go alone, so that others do not wait for them
		return false
	}
	from := len(b.arena)
	b.arena = append(b.arena, p...)
	if joins {
		b.pieces[last].to = len(b.arena)
	} else {
		b.pieces = append(b.pieces, piece{e, from, len(b.arena)})
	}
	return true
}

func (b *batch) hasQueued(e *end) bool {
	for i := range b.pieces {
		if b.pieces[i].end == e {
			return true
		}
	}
	return false
}

// unqueue drops an end's queued bytes.
func (lp *loop) unqueue(e *end) {
	if lp.batch == nil {
		return
	}
	for i := range lp.batch.pieces {
		if lp.batch.pieces[i].end == e {
			lp.batch.pieces[i].end = nil
		}
	}
}

// deliver sends what is queued. If the kernel does not take all bytes of a session, settleRest settles it later.
func (lp *loop) deliver() {
	b := lp.batch
	if b == nil || len(b.pieces) == 0 {
		return
	}
	for _, p := range b.pieces {
		if p.end != nil {
			b.calls.Send(p.end.fd, b.arena[p.from:p.to])
		}
	}
	b.calls.Do()
	call := 0
	for _, p := range b.pieces {
		if p.end == nil {
			continue
		}
		n, errno := b.calls.Result(call)
		call++
		if p.end.keepUnsent(b.arena[p.from:p.to], n, errno); p.end.pending != nil || p.end.writes == writeFailed {
			b.unsettled = append(b.unsettled, p.end.link)
		}
	}
	clear(b.pieces)
	b.pieces, b.arena = b.pieces[:0], b.arena[:0]
}

// settleRest settles the sessions whose bytes the kernel has not taken.
func (lp *loop) settleRest() {
	b := lp.batch
	if len(b.unsettled) == 0 {
		return
	}
	now := lp.opts.Now()
	for _, l := range b.unsettled {
		l.protect(func() { l.settle(now) })
	}
	clear(b.unsettled)
	b.unsettled = b.unsettled[:0]
}

// alone calls f outside the batch: all queued bytes are sent before, and f sends at once.
func (lp *loop) alone(f func()) {
	b := lp.batch
	if b == nil || !b.open {
		f()
		return
	}
	lp.deliver()
	b.open = false
	f()
	b.open = true
}
