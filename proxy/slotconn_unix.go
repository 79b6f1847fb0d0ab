//go:build unix

package proxy

import (
	"io"
	"net"
	"os"
	"syscall"
)

// Read keeps the slot while there is something to read at once, which costs nothing over a plain Read: the runtime asks the
// descriptor again only when it has become readable.
func (c *slotConn) Read(p []byte) (n int, err error) {
	if c.raw == nil || len(p) == 0 {
		return c.waitRead(p)
	}
	var failed error
	err = c.raw.Read(func(fd uintptr) bool {
		n, failed = again(func() (int, error) { return syscall.Read(int(fd), p) })
		return failed != syscall.EAGAIN || c.idle()
	})
	c.slot.take()
	n = max(n, 0)
	switch {
	case err != nil:
		return n, err
	case failed != nil:
		return n, c.opError("read", failed)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write keeps the slot while the socket takes all at once, as it nearly always does.
func (c *slotConn) Write(p []byte) (n int, err error) {
	if c.raw == nil {
		return c.waitWrite(p)
	}
	var failed error
	err = c.raw.Write(func(fd uintptr) bool {
		for n < len(p) {
			var m int
			m, failed = again(func() (int, error) { return syscall.Write(int(fd), p[n:]) })
			if failed != nil {
				return failed != syscall.EAGAIN || c.idle()
			}
			n += m
		}
		return true
	})
	c.slot.take()
	if err == nil && failed != nil {
		err = c.opError("write", failed)
	}
	return n, err
}

// idle gives the slot back before a wait. It reports false: the call is not done.
func (c *slotConn) idle() bool {
	c.slot.give()
	return false
}

func (c *slotConn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: c.RemoteAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(),
		Err: os.NewSyscallError(op, err)}
}

// again repeats a system call that a signal interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != syscall.EINTR {
			return n, err
		}
	}
}
