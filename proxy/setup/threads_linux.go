package setup

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// threadPool is a fixed number of threads. Methods are safe for concurrent use.
type threadPool struct {
	threads []*thread
	next    atomic.Uint32
	done    sync.WaitGroup
}

// Start starts threads, which run until Stop.
func Start(opts Options) (Threads, error) {
	check := opts.Check
	if check == nil {
		check = Check
	}
	if err := check(); err != nil {
		if opts.FellBack != nil {
			opts.FellBack(err)
		}
		return newGoroutines(opts), nil
	}
	ts := &threadPool{}
	for range opts.Threads {
		th, err := newThread(opts.Kept, opts.Panicked)
		if err != nil {
			ts.Stop()
			return nil, fmt.Errorf("start sign-in thread: %w", err)
		}
		ts.threads = append(ts.threads, th)
		ts.done.Go(th.run)
	}
	return ts, nil
}

// Stop implements Threads.
func (ts *threadPool) Stop() {
	for _, th := range ts.threads {
		th.post(func() { th.stopping = true })
	}
	ts.done.Wait()
}

// Post implements Threads.
func (ts *threadPool) Post(f func()) bool { return ts.pick().post(f) }

// pick returns each thread in turn.
func (ts *threadPool) pick() *thread { return ts.threads[int(ts.next.Add(1)-1)%len(ts.threads)] }

// Adopt implements Threads.
func (ts *threadPool) Adopt(conn net.Conn, take func(Conn)) error {
	th := ts.pick()
	c, err := th.adopt(conn)
	if err == nil && !th.post(func() { c.giveTo(take) }) {
		unix.Close(c.fd)
		err = ErrStopped
	}
	return err
}

// adopt returns a connection of the thread with conn's descriptor. It owns conn.
func (th *thread) adopt(conn net.Conn) (*threadConn, error) {
	defer conn.Close() // its own descriptor only
	source, ok := conn.(syscall.Conn)
	if !ok {
		return nil, errors.New("connection without a descriptor")
	}
	fd, err := duplicate(source)
	if err != nil {
		return nil, err
	}
	return th.newConn(fd, addrPort(conn.RemoteAddr())), nil
}

// duplicate returns another descriptor of the same socket.
func duplicate(source syscall.Conn) (int, error) {
	raw, err := source.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("take descriptor: %w", err)
	}
	fd, dupErr := -1, error(nil)
	if err = raw.Control(func(open uintptr) { fd, dupErr = unix.FcntlInt(open, unix.F_DUPFD_CLOEXEC, 0) }); err ==
		nil {
		err = dupErr
	}
	if err != nil {
		return -1, fmt.Errorf("take descriptor: %w", err)
	}
	return fd, nil
}

// Accept implements Threads.
func (ts *threadPool) Accept(ln *net.TCPListener, take func(Conn), failed func(error) time.Duration) (end func(),
	err error) {
	fd, err := duplicate(ln)
	if err != nil {
		return nil, err
	}
	inherits, _ := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
	var left sync.WaitGroup
	all := make([]*threadListener, 0, len(ts.threads))
	for _, th := range ts.threads {
		l := &threadListener{thread: th, fd: fd, local: addrPort(ln.Addr()), noDelay: inherits == 1, take: take,
			failed: failed, onEnd: left.Done}
		if !th.post(l.begin) {
			err = ErrStopped
			break
		}
		left.Add(1)
		all = append(all, l)
	}
	end = sync.OnceFunc(func() {
		for _, l := range all {
			if !l.thread.post(l.end) {
				l.onEnd()
			}
		}
		left.Wait()
		unix.Close(fd)
	})
	if err != nil {
		end()
		return nil, err
	}
	return end, nil
}

// threadListener is a listener on one thread, which owns it.
type threadListener struct {
	thread *thread
	fd     int
	local  netip.AddrPort
	take   func(Conn)
	failed func(error) time.Duration
	onEnd  func()

	noDelay  bool  // accepted connections have TCP_NODELAY already
	slot     int32 // in thread.slots; 0 = it does not accept now
	resumeAt int64 // when it accepts again after a failure
}

func (l *threadListener) begin() {
	l.thread.listeners[l] = struct{}{}
	slot, err := l.thread.watch(l.fd, l, unix.EPOLLIN|unix.EPOLLEXCLUSIVE)
	if err != nil {
		l.pause(err)
		return
	}
	l.slot = slot
}

// maxDrained bounds what end accepts: a flood of connections must not keep it.
const maxDrained = 4096

// end accepts what is there already. If another process has the listener too, the kernel may have told only this one
// of a connection.
func (l *threadListener) end() {
	taking := l.slot != 0
	l.unwatch()
	delete(l.thread.listeners, l)
	for range maxDrained {
		if !taking || !l.accept() {
			break
		}
	}
	l.onEnd()
}

// unwatch takes the listener out of the epoll set.
func (l *threadListener) unwatch() {
	if l.slot != 0 {
		l.thread.control(unix.EPOLL_CTL_DEL, l.fd, l.slot, 0)
		l.thread.forget(l.slot)
		l.slot = 0
	}
}

func (l *threadListener) pause(err error) {
	defer l.thread.survive(nil) // sweep then tries again
	l.unwatch()
	l.resumeAt = l.thread.now + int64(l.failed(err))
}

// sweep accepts again after a pause.
func (l *threadListener) sweep() {
	if l.slot == 0 && l.thread.now >= l.resumeAt {
		l.begin()
	}
}

// ready implements watched. If there are more connections, epoll reports again, perhaps to another thread.
func (l *threadListener) ready(uint32) { l.accept() }

// accept accepts one connection, and says whether there was one.
func (l *threadListener) accept() bool {
	var raw unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(raw))
	fd, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(l.fd), uintptr(unsafe.Pointer(&raw)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	switch errno {
	case 0:
		c := l.thread.newConn(int(fd), readRawAddress(&raw))
		if !l.noDelay {
			switchOn(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
		}
		if !l.local.Addr().IsUnspecified() {
			c.local = l.local
		}
		c.giveTo(l.take)
		return true
	case unix.EAGAIN, unix.EINTR, unix.ECONNABORTED: // another thread was faster, or the client has gone
	default:
		l.pause(errno)
	}
	return false
}
