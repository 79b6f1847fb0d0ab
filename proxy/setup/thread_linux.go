package setup

import (
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"portico/proxy/poll"
)

const (
	// sweepTime is how often set-ups are looked at whose time may be over: they are late by that at most.
	sweepTime = 50 * time.Millisecond
	// keptTurns bounds how many coroutines a thread keeps for sessions to come, with the stacks they have grown.
	keptTurns = 64
)

// watched is what epoll tells of: a connection or a listener. ready is called on the thread.
type watched interface{ ready(events uint32) }

// slot is where an event finds it. Events carry the generation, because one may come late for a slot given to
// another.
type slot struct {
	of         watched
	generation uint32
}

// thread runs turns. All its fields belong to its goroutine, which is locked to an OS thread, and to the turn that it
// has resumed.
type thread struct {
	poller *poll.Poller
	began  time.Time
	// when this round began, in nanoseconds on the thread's own clock, never 0: close enough for deadlines, and read
	// once
	now int64

	slots []slot
	free  []int32
	turns map[*threadTurn]struct{} // at work or waiting
	spare []*threadTurn            // coroutines without a set-up
	again []*threadTurn            // that have let others go first
	swept int64                    // when turns were last looked at

	listeners map[*listening]struct{}

	kept     int // descriptors from this number on are not for clients; 0 for none
	panicked func(value any, stack []byte)
	stopping bool
}

func newThread(kept int, panicked func(value any, stack []byte)) (*thread, error) {
	poller, err := poll.New()
	if err != nil {
		return nil, err
	}
	return &thread{poller: poller, began: time.Now(), now: 1, slots: make([]slot, poll.SlotWake+1),
		turns: make(map[*threadTurn]struct{}), listeners: make(map[*listening]struct{}), kept: kept,
		panicked: panicked}, nil
}

// isKept says whether a descriptor is one that is kept back. The system gives the lowest number that is free, so that
// all lower ones are taken.
func (th *thread) isKept(fd int) bool { return th.kept > 0 && fd >= th.kept }

func (th *thread) control(op, fd int, at int32, events uint32) error {
	return th.poller.Control(op, fd, at, th.slots[at].generation, events)
}

// watch adds a descriptor to the epoll set.
func (th *thread) watch(fd int, of watched, events uint32) (at int32, err error) {
	if n := len(th.free); n > 0 {
		at = th.free[n-1]
		th.free = th.free[:n-1]
	} else {
		at = int32(len(th.slots))
		th.slots = append(th.slots, slot{})
	}
	th.slots[at].of = of
	th.slots[at].generation++
	if err = th.control(syscall.EPOLL_CTL_ADD, fd, at, events); err != nil {
		th.forget(at)
	}
	return at, err
}

// forget frees the slot of a descriptor that has left the epoll set, or is about to be closed.
func (th *thread) forget(at int32) {
	th.slots[at].of = nil
	th.free = append(th.free, at)
}

// post has the thread call f soon: at its next round, and it has one at least each millisecond unless it sleeps. It
// answers false when the thread has ended, f being not called then.
func (th *thread) post(f func()) bool { return th.poller.Post(f) }

// run is the thread's goroutine. It ends when it is told to stop and no turn is left.
func (th *thread) run() {
	runtime.LockOSThread()
	defer th.poller.Release()
	for {
		th.round(th.poller.Wait(th.longest()))
		if th.stopping && len(th.turns) == 0 && th.poller.CloseEmptyMail() {
			for _, t := range th.spare {
				t.stop()
			}
			return
		}
	}
}

// round handles what has happened, deadlines last: an event counts before them.
func (th *thread) round(events []unix.EpollEvent) {
	th.now = int64(time.Since(th.began)) + 1
	for i := range events {
		if ev := &events[i]; poll.Slot(ev) == poll.SlotWake {
			th.poller.Woken()
		} else if p := th.slots[poll.Slot(ev)]; p.of != nil && p.generation == poll.Generation(ev) {
			th.tell(p.of, ev.Events)
		}
	}
	th.poller.ReadMail()
	th.goOn()
	if th.now-th.swept >= int64(sweepTime) {
		th.swept = th.now
		th.sweep()
	}
}

// tell gives events to what they are for. It survives a panic there.
func (th *thread) tell(of watched, events uint32) {
	defer th.survive(nil)
	of.ready(events)
}

// survive reports the panic of the function that defers it, if there is one, and closes the connection that it was
// for, if that is known and still open.
func (th *thread) survive(c *threadConn) {
	v := recover()
	if v == nil {
		return
	}
	if away, ok := v.(*Panic); ok {
		th.panicked(away.Value, away.Stack)
	} else {
		th.panicked(v, debug.Stack())
	}
	if c != nil {
		c.Close()
	}
}

// longest is how long the thread may wait for events, in milliseconds.
func (th *thread) longest() int {
	switch {
	case len(th.again) > 0:
		return 0
	case len(th.turns) > 0 || th.pausing():
		return int(sweepTime / time.Millisecond)
	}
	return -1 // each time a quiet thread wakes, the scheduler's supervisor runs hot for milliseconds
}

// pausing says whether a listener is to be asked again later.
func (th *thread) pausing() bool {
	for l := range th.listeners {
		if l.at == 0 {
			return true
		}
	}
	return false
}

// goOn resumes those that have let others go first.
func (th *thread) goOn() {
	round := th.again
	th.again = nil
	for _, t := range round {
		t.resume()
	}
}

// sweep resumes the turns whose time is over, and listeners whose pause is.
func (th *thread) sweep() {
	for t := range th.turns {
		if t.on != nil && t.on.late(t.want) {
			t.resume()
		}
	}
	for l := range th.listeners {
		l.sweep()
	}
}
