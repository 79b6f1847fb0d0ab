package relay

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"portico/proxy/poll"
)

// Loops is the Relay with event loops. Each loop is one goroutine, locked to its thread. Both ends of a session belong
// to one loop, so that relaying takes no lock.
type Loops struct {
	opts  Options
	loops []*loop
	next  atomic.Uint32
	done  sync.WaitGroup

	limiter *rateLimiter // of commands, of all users

	reading sync.Mutex // guards copies
	copies  []*Stats   // of each loop's statistics; their memory is used again
}

// New starts Loops, or Pumps if Options.Check returns an error.
func New(opts Options) (Relay, error) {
	check := opts.Check
	if check == nil {
		check = Check
	}
	switch reason := check(); {
	case reason == nil:
		ls, err := NewLoops(opts)
		if err != nil {
			return nil, err
		}
		return ls, nil
	case opts.IO == IOUring:
		return nil, fmt.Errorf("event loops: %w", reason)
	case opts.FellBack != nil:
		opts.FellBack(reason)
	}
	ps, err := NewPumps(opts)
	if err != nil {
		return nil, err
	}
	return ps, nil
}

// Check returns why event loops do not work here, or nil: the process may not use epoll or timers, or crypto/tls does
// not behave as Conn needs. A shortage of descriptors or memory does not count.
func Check() error {
	if err := poll.Check(); err != nil {
		return err
	}
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	switch {
	case err == nil:
		unix.Close(timer)
	case poll.Forbidden(err):
		return os.NewSyscallError("timerfd_create", err)
	}
	return checkTLS(errWouldBlock)
}

// NewLoops starts event loops. They run until Close.
func NewLoops(opts Options) (*Loops, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	ls := &Loops{opts: opts, limiter: &rateLimiter{users: make(map[string]*bucket)}}
	for i := range opts.Loops {
		lp, err := newLoop(i, opts, ls.limiter)
		if err != nil {
			ls.Close()
			return nil, fmt.Errorf("start event loop: %w", err)
		}
		ls.loops = append(ls.loops, lp)
		ls.copies = append(ls.copies, NewStats())
		ls.done.Go(lp.run)
		<-lp.running
	}
	return ls, nil
}

// Add implements Relay.
func (ls *Loops) Add(s Session) error {
	lp := ls.loops[int(ls.next.Add(1)-1)%len(ls.loops)]
	l, err := newLink(lp, s)
	if err != nil {
		return fmt.Errorf("hand over to the relay: %w", err)
	}
	if !lp.post(func() { lp.adopt(l, s) }) {
		l.abandon(ReasonClosed)
		return ErrClosed
	}
	return nil
}

// IO returns the system calls with which the loops receive and send: IOEpoll or IOUring. With IOAuto, the error says
// why the kernel does not allow IOUring.
func (ls *Loops) IO() (IO, error) {
	for _, lp := range ls.loops {
		if lp.batch == nil {
			return IOEpoll, lp.batchError
		}
	}
	return IOUring, nil
}

// Drain implements Relay.
func (ls *Loops) Drain(ctx context.Context) {
	half := 5 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		half = time.Until(deadline) / 2
	}
	empty := make([]chan struct{}, len(ls.loops))
	for i, lp := range ls.loops {
		empty[i] = make(chan struct{})
		if !lp.post(func() { lp.beginDrain(half, empty[i]) }) {
			close(empty[i])
		}
	}
	// When ctx ends, all loops end their sessions at the same time: the last bytes take a while.
	stop := context.AfterFunc(ctx, func() {
		for _, lp := range ls.loops {
			lp.post(lp.endDrain)
		}
	})
	defer stop()
	for _, done := range empty {
		<-done
	}
}

// Retime implements Relay.
func (ls *Loops) Retime(idle, keepAlive time.Duration) {
	for _, lp := range ls.loops {
		lp.post(func() { lp.opts.IdleTimeout, lp.opts.KeepAlive = idle, keepAlive })
	}
}

// Close implements Relay.
func (ls *Loops) Close() {
	for _, lp := range ls.loops {
		lp.post(lp.stop)
	}
	ls.done.Wait()
}

// Stats implements Relay.
func (ls *Loops) Stats() *Stats {
	ls.reading.Lock()
	defer ls.reading.Unlock()
	total := NewStats()
	copied := make(chan *Stats, len(ls.loops))
	for i, lp := range ls.loops {
		copyNow := func() {
			lp.stats.copyTo(ls.copies[i])
			copied <- ls.copies[i]
		}
		if !lp.post(copyNow) {
			ls.done.Wait() // it was closed: nothing changes any more
			copyNow()
		}
	}
	for range ls.loops {
		total.Add(<-copied)
	}
	return total
}
