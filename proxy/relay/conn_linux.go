package relay

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var errNoDescriptor = errors.New("connection without a descriptor")

// detach begins the loop phase: it takes the descriptor from the Go scheduler's poller. work belongs to the loop.
func (c *Conn) detach(work *workspace) error {
	if whole, ok := c.net.(detachable); ok {
		fd, err := whole.Detach()
		if err != nil {
			return fmt.Errorf("take descriptor: %w", err)
		}
		c.net, c.fd, c.work = nil, fd, work
		return nil
	}
	source, ok := c.net.(syscall.Conn)
	if !ok {
		return errNoDescriptor
	}
	raw, err := source.SyscallConn()
	if err != nil {
		return fmt.Errorf("take descriptor: %w", err)
	}
	fd, dupErr := -1, error(nil)
	if err := raw.Control(func(open uintptr) {
		fd, dupErr = unix.FcntlInt(open, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return fmt.Errorf("take descriptor: %w", err)
	}
	if dupErr != nil {
		return fmt.Errorf("take descriptor: %w", dupErr)
	}
	c.net.Close() // closes its own descriptor only; ours keeps the connection open
	c.net, c.fd, c.work = nil, fd, work
	return nil
}

// readNow reads the bytes that are there. If the last read took all of them, it does not ask the kernel again until the
// next event clears empty.
func (c *Conn) readNow(p []byte) (int, error) {
	if c.empty {
		return 0, errWouldBlock
	}
	p = p[:min(len(p), lentRead)]
	n, errno := c.work.prefetched.receive(c.fd, p)
	switch {
	case errno == unix.EAGAIN:
		return 0, errWouldBlock
	case errno != 0:
		return max(n, 0), errno
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	c.empty = n < len(p) && !c.hungUp
	return n, nil
}

// rawRead reads without telling the Go scheduler: on a non-blocking descriptor the kernel answers at once.
func rawRead(fd int, p []byte) (int, syscall.Errno) {
	return rawCall(syscall.SYS_READ, fd, p, 0)
}

// receive and send do the same for sockets. They take a shorter way through the kernel than read and write, and cause
// no SIGPIPE.
func receive(fd int, p []byte) (int, syscall.Errno) {
	return rawCall(syscall.SYS_RECVFROM, fd, p, 0)
}

func send(fd int, p []byte) (int, syscall.Errno) {
	return rawCall(syscall.SYS_SENDTO, fd, p, unix.MSG_NOSIGNAL)
}

func rawCall(call uintptr, fd int, p []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), flags, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// unacknowledged returns how many sent bytes the peer's kernel has not acknowledged, or 0 if the kernel does not say.
func unacknowledged(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// Indexes into the values of SO_MEMINFO.
const (
	memSendBuffer = 3
	memSendQueued = 5
	memFields     = 9
)

// sendRoom returns how many bytes a socket takes now: the room in its send buffer, within maxUnsent. It returns 0 if
// the kernel does not say.
func sendRoom(fd int) int {
	var info [memFields]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0
	}
	return min(int(info[memSendBuffer]), maxUnsent) - int(info[memSendQueued])
}

// setKeepAlive sets the kernel's time-outs: after how much silence it probes the peer, and for how long the peer may
// leave sent bytes unacknowledged. If that fails, only these time-outs are missing.
func setKeepAlive(fd int, idle, stalled time.Duration) {
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, max(int(idle/time.Second), 1))
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(stalled/time.Millisecond))
}

// unacknowledged does the same in the set-up phase.
func (c *Conn) unacknowledged() (n int) {
	c.control(func(fd int) { n = unacknowledged(fd) })
	return n
}

// setKeepAlive does the same in the set-up phase.
func (c *Conn) setKeepAlive(idle, stalled time.Duration) {
	c.control(func(fd int) { setKeepAlive(fd, idle, stalled) })
}

// gone says, in the set-up phase, whether the peer has closed its side of the connection, and whether the connection is
// reset. Unread bytes make no difference.
func (c *Conn) gone() (closed, reset bool) {
	c.control(func(fd int) {
		events := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if n, err := unix.Poll(events, 0); err == nil && n > 0 {
			closed = true
			reset = events[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
		}
	})
	return closed, reset
}

// control calls f with the descriptor, in the set-up phase, if the connection has one.
func (c *Conn) control(f func(fd int)) {
	if source, ok := c.net.(syscall.Conn); ok {
		if raw, err := source.SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) { f(int(fd)) })
		}
	}
}
