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
	// sweepTime is how often a thread checks deadlines. A deadline is late by that at most.
	sweepTime = 50 * time.Millisecond
	// keptTurns bounds how many coroutines a thread keeps for later sessions, with the stacks that they have grown.
	keptTurns = 64
)

// watched is a connection or a listener in the epoll set. The thread calls ready with its events.
type watched interface{ ready(events uint32) }

// slot is a place for a watched. Events carry the generation, because an event may come after its slot has been given
// to another.
type slot struct {
	target     watched
	generation uint32
}

// thread is a sign-in thread: it runs turns. Its fields belong to its goroutine, which is locked to an OS thread, and
// to the turn that it has resumed.
type thread struct {
	poller *poll.Poller
	began  time.Time
	// when this round began, in nanoseconds on the thread's own clock, never 0. It is exact enough for deadlines, and
	// saves reading the clock.
	now int64

	slots   []slot
	free    []int32
	turns   map[*threadTurn]struct{} // at work or waiting
	spare   []*threadTurn            // coroutines without a set-up
	yielded []*threadTurn            // turns that have let others run first
	sweptAt int64                    // when turns were last looked at

	listeners map[*threadListener]struct{}

	kept     int // see Options.Kept
	panicked func(value any, stack []byte)
	stopping bool
}

func newThread(kept int, panicked func(value any, stack []byte)) (*thread, error) {
	poller, err := poll.New()
	if err != nil {
		return nil, err
	}
	return &thread{poller: poller, began: time.Now(), now: 1, slots: make([]slot, poll.SlotWake+1),
		turns: make(map[*threadTurn]struct{}), listeners: make(map[*threadListener]struct{}), kept: kept,
		panicked: panicked}, nil
}

// isKept says whether a descriptor is kept back. The system gives the lowest free number, so all lower ones are taken.
func (th *thread) isKept(fd int) bool { return th.kept > 0 && fd >= th.kept }

func (th *thread) control(op, fd int, number int32, events uint32) error {
	return th.poller.Control(op, fd, number, th.slots[number].generation, events)
}

// watch adds a descriptor to the epoll set, and returns the number of its slot.
func (th *thread) watch(fd int, target watched, events uint32) (number int32, err error) {
	if n := len(th.free); n > 0 {
		number = th.free[n-1]
		th.free = th.free[:n-1]
	} else {
		number = int32(len(th.slots))
		th.slots = append(th.slots, slot{})
	}
	th.slots[number].target = target
	th.slots[number].generation++
	if err = th.control(syscall.EPOLL_CTL_ADD, fd, number, events); err != nil {
		th.forget(number)
	}
	return number, err
}

// forget frees the slot of a descriptor that has left the epoll set, or is about to be closed.
func (th *thread) forget(number int32) {
	th.slots[number].target = nil
	th.free = append(th.free, number)
}

// post makes the thread call f in its next round. A busy thread has a round at least each millisecond; one that sleeps
// is woken. If the thread has ended, post returns false and does not call f.
func (th *thread) post(f func()) bool { return th.poller.Post(f) }

// run is the thread's goroutine. It ends when stopping is true and no turn is left.
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

// round handles events, and then deadlines: if both have happened, the event counts.
func (th *thread) round(events []unix.EpollEvent) {
	th.now = int64(time.Since(th.began)) + 1
	for i := range events {
		if ev := &events[i]; poll.Slot(ev) == poll.SlotWake {
			th.poller.Woken()
		} else if p := th.slots[poll.Slot(ev)]; p.target != nil && p.generation == poll.Generation(ev) {
			th.dispatch(p.target, ev.Events)
		}
	}
	th.poller.ReadMail()
	th.resumeYielded()
	if th.now-th.sweptAt >= int64(sweepTime) {
		th.sweptAt = th.now
		th.sweep()
	}
}

// dispatch passes events to their target. It survives a panic there.
func (th *thread) dispatch(of watched, events uint32) {
	defer th.survive(nil)
	of.ready(events)
}

// survive reports a panic of the function that defers it, and then closes c; nil for no connection.
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

// longest returns how long the thread may wait for events, in milliseconds; -1 for no limit.
func (th *thread) longest() int {
	switch {
	case len(th.yielded) > 0:
		return 0
	case len(th.turns) > 0 || th.pausing():
		return int(sweepTime / time.Millisecond)
	}
	return -1 // each time an idle thread wakes, the Go scheduler's monitor runs for milliseconds
}

// pausing says whether a listener pauses after a failure.
func (th *thread) pausing() bool {
	for l := range th.listeners {
		if l.slot == 0 {
			return true
		}
	}
	return false
}

// resumeYielded resumes the turns that have let others run first.
func (th *thread) resumeYielded() {
	round := th.yielded
	th.yielded = nil
	for _, t := range round {
		t.resume()
	}
}

// sweep resumes the turns whose deadline has passed, and the listeners whose pause is over.
func (th *thread) sweep() {
	for t := range th.turns {
		if t.waitsFor != nil && t.waitsFor.waitIsOver(t.want) {
			t.resume()
		}
	}
	for l := range th.listeners {
		l.sweep()
	}
}
