package setup

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// threadConn is a Conn on a sign-in thread. While its reads and writes wait, other set-ups have their turn.
type threadConn struct {
	thread    *thread
	turn      *threadTurn // nil until the set-up has begun
	fd        int
	slot      int32  // in thread.slots; 0 = not in the epoll set
	newEvents uint32 // since the turn began to wait
	empty     bool   // the last read took all bytes, and epoll has reported none since
	hungUp    bool   // epoll has reported the end, or a failure
	reset     bool   // epoll has reported a failure, such as a reset, or both ends
	remote    netip.AddrPort
	local     netip.AddrPort // the zero value until somebody asks
	read      atomic.Int64   // deadline on the thread's clock; 0 = none
	write     atomic.Int64
	aborted   atomic.Bool

	onGone        func(reset bool) // see WhenGone
	closeReported bool             // onGone was called because the peer has closed its side
}

func (th *thread) newConn(fd int, remote netip.AddrPort) *threadConn {
	// empty: if bytes are there, epoll reports them at once
	return &threadConn{thread: th, fd: fd, remote: remote, empty: true}
}

// Kept implements Conn.
func (c *threadConn) Kept() bool { return c.thread.isKept(c.fd) }

// Start implements Conn.
func (c *threadConn) Start(job func(Turn)) {
	c.thread.start(func(t *threadTurn) {
		defer c.thread.survive(c)
		c.turn = t
		job(t)
	})
}

// giveTo calls take with a connection just accepted. If take panics, it closes the connection.
func (c *threadConn) giveTo(take func(Conn)) {
	defer c.thread.survive(c)
	take(c)
}

// events are the events that wake a wait. epoll reports each one once (edge-triggered), so every call tries before it
// waits.
const events = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// watch adds the connection to the epoll set.
func (c *threadConn) watch() error {
	if c.slot != 0 {
		return nil
	}
	var err error
	c.slot, err = c.thread.watch(c.fd, c, events)
	return os.NewSyscallError("epoll_ctl", err)
}

// ready implements watched.
func (c *threadConn) ready(events uint32) {
	c.record(events)
	if t := c.turn; t != nil && t.waitsFor == c && events&(t.want|unix.EPOLLERR|unix.EPOLLHUP|unix.EPOLLRDHUP) != 0 {
		t.resume()
	}
}

// record keeps events for later calls.
func (c *threadConn) record(events uint32) {
	c.newEvents |= events
	if events&^unix.EPOLLOUT != 0 {
		c.empty = false
		c.hungUp = c.hungUp || events&^(unix.EPOLLOUT|unix.EPOLLIN) != 0
		c.reset = c.reset || events&(unix.EPOLLERR|unix.EPOLLHUP) != 0
		c.reportGone()
	}
}

func (c *threadConn) deadline(want uint32) *atomic.Int64 {
	if want == unix.EPOLLIN {
		return &c.read
	}
	return &c.write
}

// waitIsOver says whether a wait has reached its deadline, or Abort was called.
func (c *threadConn) waitIsOver(want uint32) bool { return c.waitError(want) != nil }

// waitError returns the error of a wait that is over, or nil.
func (c *threadConn) waitError(want uint32) error {
	switch at := c.deadline(want).Load(); {
	case c.aborted.Load():
		return net.ErrClosed
	case at != 0 && at <= c.thread.now:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// mustEndWait says whether a wait has to end whatever the peer does: after Abort, or after a deadline long past.
func (c *threadConn) mustEndWait(want uint32) bool {
	return c.aborted.Load() || c.deadline(want).Load() == interrupted
}

// pollEvent asks the kernel whether a wait's event has happened, and records it: epoll may not have reported it yet.
func (c *threadConn) pollEvent(want uint32) bool {
	fds := [1]unix.PollFd{{Fd: int32(c.fd), Events: int16(want)}} // poll(2) and epoll have the same bits
	if n, err := unix.Poll(fds[:], 0); err != nil || n == 0 {
		return false
	}
	c.record(uint32(fds[0].Revents))
	return true
}

// Read reads the bytes that are there, or waits for some. While epoll reports none, it does not ask the kernel.
func (c *threadConn) Read(p []byte) (int, error) {
	if err := c.checkUsable(unix.EPOLLIN); err != nil || len(p) == 0 {
		return 0, err
	}
	for {
		for c.empty {
			if err := c.turn.await(c, unix.EPOLLIN); err != nil {
				return 0, c.fail("read", err)
			}
		}
		n, errno := receive(c.fd, p)
		switch {
		case errno == unix.EAGAIN:
			c.empty = true
		case errno != 0:
			return 0, c.fail("read", os.NewSyscallError("read", errno))
		case n == 0:
			return 0, io.EOF
		default:
			c.empty = n < len(p) && !c.hungUp
			c.turn.countRead()
			return n, nil
		}
	}
}

// Write writes all of p.
func (c *threadConn) Write(p []byte) (n int, err error) {
	if err := c.checkUsable(unix.EPOLLOUT); err != nil {
		return 0, err
	}
	for n < len(p) {
		m, errno := send(c.fd, p[n:])
		switch {
		case errno == unix.EAGAIN:
			if err := c.turn.await(c, unix.EPOLLOUT); err != nil {
				return n, c.fail("write", err)
			}
		case errno != 0:
			return n, c.fail("write", os.NewSyscallError("write", errno))
		default:
			n += m
		}
	}
	return n, nil
}

// TryWrite implements Conn.
func (c *threadConn) TryWrite(p []byte) { send(c.fd, p) }

// checkUsable returns the error that a call must return at once, or nil.
func (c *threadConn) checkUsable(want uint32) error {
	if c.fd < 0 {
		return net.ErrClosed
	}
	return c.waitError(want)
}

func (c *threadConn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: c.RemoteAddr(), Err: err}
}

// Close closes the connection.
func (c *threadConn) Close() error {
	fd := c.releaseFD()
	if fd < 0 {
		return net.ErrClosed
	}
	return os.NewSyscallError("close", unix.Close(fd))
}

// Detach gives the descriptor, which is non-blocking, to the caller. From then on the Conn behaves as closed.
func (c *threadConn) Detach() (fd int, err error) {
	if c.fd < 0 {
		return -1, net.ErrClosed
	}
	if c.slot != 0 {
		if err := c.thread.control(unix.EPOLL_CTL_DEL, c.fd, c.slot, 0); err != nil {
			return -1, os.NewSyscallError("epoll_ctl", err)
		}
	}
	return c.releaseFD(), nil
}

func (c *threadConn) releaseFD() (fd int) {
	fd, c.fd = c.fd, -1
	if c.slot != 0 {
		c.thread.forget(c.slot)
		c.slot = 0
	}
	return fd
}

// CloseWrite implements Conn.
func (c *threadConn) CloseWrite() error {
	if c.fd < 0 {
		return net.ErrClosed
	}
	return os.NewSyscallError("shutdown", unix.Shutdown(c.fd, unix.SHUT_WR))
}

// Abort implements Conn.
func (c *threadConn) Abort() {
	c.aborted.Store(true)
	c.nudge()
}

// nudge makes the thread check a wait again.
func (c *threadConn) nudge() {
	c.thread.post(func() {
		if t := c.turn; t != nil && t.waitsFor == c && c.waitIsOver(t.want) {
			t.resume()
		}
	})
}

// SetDeadline bounds reads and writes; the zero time is no bound.
func (c *threadConn) SetDeadline(t time.Time) error {
	c.setDeadlines(t, &c.read, &c.write)
	return nil
}

// SetReadDeadline bounds reads.
func (c *threadConn) SetReadDeadline(t time.Time) error {
	c.setDeadlines(t, &c.read)
	return nil
}

// SetWriteDeadline bounds writes.
func (c *threadConn) SetWriteDeadline(t time.Time) error {
	c.setDeadlines(t, &c.write)
	return nil
}

// interrupted is a deadline that ends a wait at once.
const interrupted = 1

// setDeadlines sets deadlines. A deadline long past, such as [time.Unix](1, 0), ends the current call at once. One just
// past ends it at the next sweep.
func (c *threadConn) setDeadlines(t time.Time, deadlines ...*atomic.Int64) {
	var at int64
	if !t.IsZero() {
		if at = int64(t.Sub(c.thread.began)) + 1; at <= interrupted { // from before the thread
			at = interrupted
			defer c.nudge()
		}
	}
	for _, d := range deadlines {
		d.Store(at)
	}
}

// RemotePort implements Conn.
func (c *threadConn) RemotePort() netip.AddrPort { return c.remote }

// RemoteAddr returns the peer's address.
func (c *threadConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// LocalPort implements Conn.
func (c *threadConn) LocalPort() netip.AddrPort {
	if c.local.IsValid() {
		return c.local
	}
	var raw unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(raw))
	_, _, errno := syscall.RawSyscall(syscall.SYS_GETSOCKNAME, uintptr(c.fd), uintptr(unsafe.Pointer(&raw)),
		uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return netip.AddrPort{}
	}
	c.local = readRawAddress(&raw)
	return c.local
}

// LocalAddr returns our own address.
func (c *threadConn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.LocalPort()) }

// SyscallConn gives access to the descriptor during a call.
func (c *threadConn) SyscallConn() (syscall.RawConn, error) { return rawConn{c}, nil }

// rawConn is a Conn's descriptor. It never waits.
type rawConn struct{ c *threadConn }

func (r rawConn) Control(f func(fd uintptr)) error {
	if r.c.fd < 0 {
		return net.ErrClosed
	}
	f(uintptr(r.c.fd))
	return nil
}

func (r rawConn) Read(f func(fd uintptr) bool) error {
	return r.Control(func(fd uintptr) { f(fd) })
}

func (r rawConn) Write(f func(fd uintptr) bool) error { return r.Read(f) }
