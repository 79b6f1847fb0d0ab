package relay

import (
	"syscall"

	"golang.org/x/sys/unix"

	"portico/proxy/poll"
)

const (
	// roomSize is how much is received ahead from a connection, and maxEarly from how many at once.
	roomSize = 8 << 10
	maxEarly = 64
	// arenaSize is how many bytes wait to be sent at most.
	arenaSize = 128 << 10
)

// batch has a loop receive and send for several sessions in one system call. Before it serves the events of one
// wait, it receives for all of them, and what they lead to is sent behind the last. Nothing is under way between
// two waits. A nil batch does nothing.
type batch struct {
	calls *poll.Batch
	least int   // events for which it is worth while
	turn  uint8 // changes with each wait

	rooms    []byte
	received []ahead
	served   int // of received

	open      bool // what is sent is queued
	arena     []byte
	pieces    []piece
	unsettled []*link // whose bytes were not taken
}

// ahead is a connection that was received from before its event is served.
type ahead struct {
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

// early is what was received ahead for the event that is being served.
type early struct {
	there bool
	fd    int
	data  []byte
	full  bool // there may be more
	errno syscall.Errno
}

// newBatch returns a batch. Its error is why there can be none.
func newBatch() (*batch, error) {
	calls, err := poll.NewBatch()
	if err != nil {
		return nil, err
	}
	return &batch{
		calls: calls, least: 2, rooms: make([]byte, maxEarly*roomSize), arena: make([]byte, 0, arenaSize),
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
	if b == nil || len(events) < b.least {
		for i := range events {
			lp.dispatch(&events[i])
		}
		return
	}
	b.receive(lp, events)
	b.open = true
	for i := range events {
		e := b.give(i, &lp.work.early)
		lp.dispatch(&events[i])
		if lp.work.early.there {
			lp.work.early.there = false
			e.link.lost()
		}
	}
	b.open = false
	lp.deliver()
	lp.settleRest()
}

// receive receives what the events tell of, as far as it is certain that it can be used. So much is certain of a
// session's first event in a wait: nothing that is served before can change what the session may do.
func (b *batch) receive(lp *loop, events []unix.EpollEvent) {
	b.turn++
	b.received, b.served = b.received[:0], 0
	for i := range events {
		e := lp.endOf(&events[i])
		if e == nil || e.link.turn == b.turn {
			continue
		}
		e.link.turn = b.turn
		if len(b.received) == maxEarly || events[i].Events != unix.EPOLLIN {
			continue
		}
		if !e.stalled && !e.bulk && e.link.mayRead(e) {
			b.received = append(b.received, ahead{event: i, end: e})
		}
	}
	if len(b.received) < b.least {
		b.received = b.received[:0]
		return
	}
	for i, a := range b.received {
		b.calls.Receive(a.end.fd, b.room(i))
	}
	b.calls.Do()
	for i := range b.received {
		a := &b.received[i]
		a.n, a.errno = b.calls.Result(i)
	}
}

func (b *batch) room(i int) []byte { return b.rooms[i*roomSize : (i+1)*roomSize] }

// give makes to what was received for an event, if that was done, and returns the end.
func (b *batch) give(event int, to *early) *end {
	at := b.served
	if at == len(b.received) || b.received[at].event != event {
		return nil
	}
	b.served++
	a := &b.received[at]
	e := a.end
	a.end = nil
	if e.fd >= 0 {
		*to = early{there: true, fd: int(e.fd), data: b.room(at)[:a.n], full: a.n == roomSize, errno: a.errno}
	}
	return e
}

// receive is what the function receive does, of what was received ahead first. It may return bytes and an error.
func (r *early) receive(fd int, p []byte) (int, syscall.Errno) {
	if !r.there || r.fd != fd {
		return receive(fd, p)
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	r.there = len(r.data) > 0
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

// lost ends a session of which bytes were received and not read, which must not be.
func (l *link) lost() {
	if l.phase == carrying {
		l.guard(func() { panic("what was received ahead was not read") })
	}
}

// queue keeps p to be sent with what others send. It says whether it has; if not, nothing of e is queued any more,
// and p is to be sent by itself.
func (lp *loop) queue(e *end, p []byte) bool {
	b := lp.batch
	if b == nil || !b.open || e.link.phase != carrying {
		return false
	}
	last := len(b.pieces) - 1
	joins := last >= 0 && b.pieces[last].end == e
	if len(p) > fewBytes || !joins && (last+1 == poll.BatchSize || b.has(e)) || len(b.arena)+len(p) > cap(b.arena) {
		lp.deliver() // large pieces go alone, and do not make others wait
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

func (b *batch) has(e *end) bool {
	for i := range b.pieces {
		if b.pieces[i].end == e {
			return true
		}
	}
	return false
}

// unqueue forgets what an end wants sent.
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

// deliver sends what is queued. Sessions whose peers do not take all are settled at the end of the round.
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
		if p.end.took(b.arena[p.from:p.to], n, errno); p.end.pending != nil || p.end.writes == writeFailed {
			b.unsettled = append(b.unsettled, p.end.link)
		}
	}
	clear(b.pieces)
	b.pieces, b.arena = b.pieces[:0], b.arena[:0]
}

// settleRest draws the conclusions from what was not taken.
func (lp *loop) settleRest() {
	b := lp.batch
	if len(b.unsettled) == 0 {
		return
	}
	now := lp.opts.Now()
	for _, l := range b.unsettled {
		l.guard(func() { l.settle(now) })
	}
	clear(b.unsettled)
	b.unsettled = b.unsettled[:0]
}

// alone calls f, which has to know what was taken of all that was sent, and sends by itself.
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
