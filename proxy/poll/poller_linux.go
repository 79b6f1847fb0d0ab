package poll

import (
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// SlotWake is the number of the events that Woken is for. Loops give other numbers to their own.
	SlotWake = 0
	// maxEvents is how many events are taken from the kernel at a time.
	maxEvents = 256
	// briefly is how long a loop waits for events at a time while it keeps its Go processor, in milliseconds, and
	// patience how often in a row before it gives that away. Between two waits it reads its mail.
	briefly  = 1
	patience = 8
)

// Poller belongs to its loop's goroutine, which is locked to a thread; Post alone may be called from anywhere.
type Poller struct {
	epoll, wake int
	events      [maxEvents]unix.EpollEvent
	mail        mailbox
	quiet       int // waits in a row in which nothing has come
}

// mailbox is how others ask a loop for something: a list that callers put letters in front of. It has no lock, because
// a thread of lower priority could be stopped while it holds one, and a loop would wait for it.
type mailbox struct {
	last   atomic.Pointer[letter] // the newest; &shut when the mailbox is closed
	sleeps atomic.Bool            // the loop waits for long, and has to be woken
	waking atomic.Int32           // how many are about to wake it
}

// letter is one call, and the one before it.
type letter struct {
	call   func()
	before *letter
}

// shut stands in a closed mailbox.
var shut letter

// New returns a poller that watches nothing.
func New() (*Poller, error) {
	p := &Poller{epoll: -1, wake: -1}
	var err error
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err == nil {
		p.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err == nil {
		err = p.Control(unix.EPOLL_CTL_ADD, p.wake, SlotWake, 0, unix.EPOLLIN)
	}
	if err != nil {
		p.Release()
		return nil, err
	}
	return p, nil
}

// Release frees the descriptors. The poller is of no use any more. Who is about to wake the loop may still write, and
// must not do so to a descriptor that is somebody else's by then; with nobody asleep it takes no longer than that
// write.
func (p *Poller) Release() {
	for p.mail.waking.Load() > 0 {
		runtime.Gosched()
	}
	for _, fd := range []int{p.epoll, p.wake} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// Control is epoll_ctl(2). Events of the descriptor carry the slot and the generation, as Slot and Generation give
// them.
func (p *Poller) Control(op, fd int, slot int32, generation, events uint32) error {
	return unix.EpollCtl(p.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: slot, Pad: int32(generation)})
}

// Slot and Generation are what Control was given for the descriptor of an event.
func Slot(ev *unix.EpollEvent) int32        { return ev.Fd }
func Generation(ev *unix.EpollEvent) uint32 { return uint32(ev.Pad) }

// Wait waits for events, at most longest milliseconds if that is not negative, and not at all with 0. What it returns
// is good until the next call.
//
// A system call that the scheduler knows of gives the processor away when it lasts, and its supervisor runs hot to
// find that out; where events come one on another's heels, that costs more than the events. So the wait is behind the
// scheduler's back first, and in its sight only when nothing has come for a while.
func (p *Poller) Wait(longest int) []unix.EpollEvent {
	timeout := briefly
	if longest == 0 {
		timeout = 0
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.epoll),
		uintptr(unsafe.Pointer(&p.events)), maxEvents, uintptr(timeout), 0, 0)
	switch {
	case errno == unix.EINTR: // the scheduler wants something of us
		return nil
	case errno != 0:
		panic(errno) // the descriptor is ours and open
	case n > 0 || timeout == 0:
		p.quiet = 0
		return p.events[:n]
	}
	if p.quiet++; p.quiet < patience || !p.maySleep(true) {
		return nil
	}
	p.quiet = 0
	blocked, err := unix.EpollWait(p.epoll, p.events[:], longest)
	p.maySleep(false)
	if err != nil && err != unix.EINTR {
		panic(err)
	}
	return p.events[:max(blocked, 0)]
}

// maySleep says whether nobody has asked for anything, so that the loop may wait for long; with false it has waited.
// Who posts puts the letter first and looks whether the loop sleeps then; here it is the other way around, so one of
// the two sees the other.
func (p *Poller) maySleep(sleeps bool) bool {
	p.mail.sleeps.Store(sleeps)
	if sleeps && p.mail.last.Load() != nil {
		p.mail.sleeps.Store(false)
		return false
	}
	return sleeps
}

// Post has the loop call f when it next reads its mail, and wakes it for that if it waits for long. It answers false
// when the mailbox is closed, f being not called then. It waits for nobody.
func (p *Poller) Post(f func()) bool {
	l := &letter{call: f}
	for {
		l.before = p.mail.last.Load()
		if l.before == &shut {
			return false
		}
		if p.mail.last.CompareAndSwap(l.before, l) {
			break
		}
	}
	if p.mail.sleeps.Load() {
		p.rouse()
	}
	return true
}

// rouse wakes the loop unless somebody else has.
func (p *Poller) rouse() {
	p.mail.waking.Add(1)
	defer p.mail.waking.Add(-1)
	if p.mail.sleeps.Swap(false) {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		unix.Write(p.wake, one[:])
	}
}

// Woken takes a wake-up back. It is for the event of SlotWake.
func (p *Poller) Woken() {
	var count [8]byte
	unix.Read(p.wake, count[:])
}

// ReadMail calls what was posted, in its order. A closed mailbox stays closed.
func (p *Poller) ReadMail() {
	last := p.mail.last.Load()
	for last != nil && last != &shut {
		if p.mail.last.CompareAndSwap(last, nil) {
			p.read(last)
			return
		}
		last = p.mail.last.Load()
	}
}

// CloseMail closes the mailbox and calls what was posted before.
func (p *Poller) CloseMail() { p.read(p.mail.last.Swap(&shut)) }

// read calls what the letters say, the oldest first.
func (p *Poller) read(last *letter) {
	var first *letter
	for last != nil && last != &shut {
		first, last, last.before = last, last.before, first
	}
	for ; first != nil; first = first.before {
		first.call()
	}
}

// CloseEmptyMail closes the mailbox unless something is in it. It says whether it is closed.
func (p *Poller) CloseEmptyMail() bool {
	return p.mail.last.CompareAndSwap(nil, &shut) || p.mail.last.Load() == &shut
}
