package setup

import (
	"encoding/binary"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxEvents is how many events are taken from the kernel at a time.
	maxEvents = 128
	// briefly is how long a thread waits for events behind the Go scheduler's back, in milliseconds. See the relay's loops.
	briefly = 1
	// sweepTime is how often set-ups are looked at whose time may be over: they are late by that at most.
	sweepTime = 50 * time.Millisecond
	// keptTurns bounds how many coroutines a thread keeps for sessions to come, with the stacks they have grown.
	keptTurns = 64
)

// slotWake is the place of the wake-up descriptor in the table of what is watched.
const slotWake = 0

// watched is what epoll tells of: a connection or a listener. ready is called on the thread.
type watched interface{ ready(events uint32) }

// place is where an event finds it. Events carry the generation, because one may come late for a place given to another.
type place struct {
	of         watched
	generation uint32
}

// thread runs turns. All its fields but those of the mailbox belong to its goroutine, which is locked to an OS thread, and to
// the turn that it has resumed.
type thread struct {
	epoll, wake int
	began       time.Time

	places []place
	free   []int32
	turns  map[*Turn]struct{} // at work or waiting
	spare  []*Turn            // coroutines without a set-up
	again  []*Turn            // that have let others go first
	swept  int64              // when turns were last looked at
	events [maxEvents]unix.EpollEvent

	listeners map[*listening]struct{}

	stopping bool
	mail     mailbox
}

// mailbox is how others ask a thread for something.
type mailbox struct {
	mu     sync.Mutex
	calls  []func()
	sleeps bool // the thread waits for long, and has to be woken
	closed bool
}

func newThread() (*thread, error) {
	th := &thread{epoll: -1, wake: -1, began: time.Now(), places: make([]place, slotWake+1),
		turns: make(map[*Turn]struct{}), listeners: make(map[*listening]struct{})}
	var err error
	if th.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err == nil {
		th.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err == nil {
		err = th.control(unix.EPOLL_CTL_ADD, th.wake, slotWake, unix.EPOLLIN)
	}
	if err != nil {
		th.release()
		return nil, err
	}
	return th, nil
}

func (th *thread) release() {
	for _, fd := range []int{th.epoll, th.wake} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// now returns nanoseconds on the thread's own clock, never 0.
func (th *thread) now() int64 { return int64(time.Since(th.began)) + 1 }

func (th *thread) control(op, fd int, at int32, events uint32) error {
	return unix.EpollCtl(th.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: at, Pad: int32(th.places[at].generation)})
}

// watch adds a descriptor to the epoll set.
func (th *thread) watch(fd int, of watched, events uint32) (at int32, err error) {
	if n := len(th.free); n > 0 {
		at = th.free[n-1]
		th.free = th.free[:n-1]
	} else {
		at = int32(len(th.places))
		th.places = append(th.places, place{})
	}
	th.places[at].of = of
	th.places[at].generation++
	if err = th.control(unix.EPOLL_CTL_ADD, fd, at, events); err != nil {
		th.forget(at)
	}
	return at, err
}

// forget frees the place of a descriptor that has left the epoll set, or is about to be closed.
func (th *thread) forget(at int32) {
	th.places[at].of = nil
	th.free = append(th.free, at)
}

// post has the thread call f soon: at its next round, and it has one at least each millisecond unless it sleeps. It answers false when the thread has ended, f being not called then.
func (th *thread) post(f func()) bool {
	th.mail.mu.Lock()
	defer th.mail.mu.Unlock()
	if th.mail.closed {
		return false
	}
	th.mail.calls = append(th.mail.calls, f)
	if th.mail.sleeps {
		th.mail.sleeps = false
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		unix.Write(th.wake, one[:])
	}
	return true
}

// run is the thread's goroutine. It ends when it is told to stop and no turn is left.
func (th *thread) run() {
	runtime.LockOSThread()
	defer th.release()
	for {
		for _, ev := range th.events[:th.wait()] {
			if ev.Fd == slotWake {
				th.woken()
			} else if p := th.places[ev.Fd]; p.of != nil && p.generation == uint32(ev.Pad) {
				p.of.ready(ev.Events)
			}
		}
		th.readMail()
		th.goOn()
		if now := th.now(); now-th.swept >= int64(sweepTime) {
			th.swept = now
			th.sweep(now)
		}
		if th.stopping && len(th.turns) == 0 && th.leave() {
			return
		}
	}
}

// goOn resumes those that have let others go first.
func (th *thread) goOn() {
	round := th.again
	th.again = nil
	for _, t := range round {
		t.resume()
	}
}

// leave closes the mailbox and lets the coroutines go, unless something has come meanwhile.
func (th *thread) leave() bool {
	th.mail.mu.Lock()
	defer th.mail.mu.Unlock()
	if len(th.mail.calls) > 0 {
		return false
	}
	th.mail.closed = true
	for _, t := range th.spare {
		t.stop()
	}
	return true
}

// wait waits for events and returns how many came: behind the scheduler's back first, and in its sight when nothing has come
// for a while.
func (th *thread) wait() int {
	timeout := briefly
	if len(th.again) > 0 {
		timeout = 0
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(th.epoll),
		uintptr(unsafe.Pointer(&th.events)), maxEvents, uintptr(timeout), 0, 0)
	switch {
	case errno == unix.EINTR: // the scheduler wants something of us
		return 0
	case errno != 0:
		panic(errno) // the descriptor is ours and open
	case n > 0 || timeout == 0:
		return int(n)
	}
	if !th.maySleep(true) {
		return 0
	}
	forever := -1
	if len(th.turns) > 0 || len(th.listeners) > 0 {
		forever = int(sweepTime / time.Millisecond)
	}
	blocked, err := unix.EpollWait(th.epoll, th.events[:], forever)
	th.maySleep(false)
	if err != nil && err != unix.EINTR {
		panic(err)
	}
	return max(blocked, 0)
}

// maySleep says whether nobody has asked for anything, so that the thread may wait for long; with false it has waited.
func (th *thread) maySleep(sleeps bool) bool {
	th.mail.mu.Lock()
	defer th.mail.mu.Unlock()
	th.mail.sleeps = sleeps && len(th.mail.calls) == 0
	return th.mail.sleeps
}

// woken takes the wake-up back.
func (th *thread) woken() {
	var count [8]byte
	unix.Read(th.wake, count[:])
}

func (th *thread) readMail() {
	th.mail.mu.Lock()
	calls := th.mail.calls
	th.mail.calls = nil
	th.mail.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

// sweep resumes the turns whose time is over, and listeners whose pause is.
func (th *thread) sweep(now int64) {
	for t := range th.turns {
		if t.on != nil && t.on.late(t.want, now) {
			t.resume()
		}
	}
	for l := range th.listeners {
		l.sweep(now)
	}
}
