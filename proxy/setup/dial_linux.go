package setup

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// connectGrace is how long a connect waits before it watches for its context's end. Nearly all connects finish sooner.
const connectGrace = 100 * time.Millisecond

// errKept is the error of a dial if only descriptors are left that are kept back.
var errKept = os.NewSyscallError("socket", unix.EMFILE)

// dial connects to address. If address is an IP address and the dialer is a plain *net.Dialer, the thread connects by
// itself. Otherwise the dialer connects, and the turn is away meanwhile.
func (t *threadTurn) dial(ctx context.Context, by Dialer, network, address string) (net.Conn, error) {
	if std, ok := by.Dialer.(*net.Dialer); ok && network == "tcp" && std.LocalAddr == nil && std.Control == nil &&
		std.ControlContext == nil {
		if to, err := netip.ParseAddrPort(address); err == nil && to.Addr().Zone() == "" {
			return t.connect(ctx, by, to)
		}
	}
	var conn net.Conn
	var err error
	t.Away(func() { conn, err = by.outside().DialContext(ctx, network, address) })
	if err != nil {
		return nil, err
	}
	c, err := t.thread.adopt(conn)
	if err != nil {
		return nil, err
	}
	if c.Kept() {
		unix.Close(c.fd)
		return nil, &net.OpError{Op: "dial", Net: network, Addr: conn.RemoteAddr(), Err: errKept}
	}
	c.turn = t
	return c, nil
}

// connect opens a socket with the dialer's options, and waits until it is connected.
func (t *threadTurn) connect(ctx context.Context, by Dialer, to netip.AddrPort) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	family := unix.AF_INET6
	if to.Addr().Is4() || to.Addr().Is4In6() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, dialError(to, os.NewSyscallError("socket", err))
	}
	if t.thread.isKept(fd) {
		unix.Close(fd)
		return nil, dialError(to, errKept)
	}
	c := t.thread.newConn(fd, to)
	c.turn = t
	switchOn(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
	by.boundReceived(fd)
	if by.Source.IsValid() {
		if err := bind(fd, by.Source); err != nil {
			c.Close()
			return nil, dialError(to, err)
		}
	}
	switch errno := addressCall(syscall.SYS_CONNECT, fd, to); errno {
	case 0:
	case unix.EINPROGRESS:
		err = c.awaitConnect(ctx)
	default:
		err = os.NewSyscallError("connect", errno)
	}
	if err != nil {
		c.Close()
		return nil, dialError(to, err)
	}
	c.SetDeadline(time.Time{})
	return c, nil
}

// awaitConnect waits for the result of a connect. If the connect succeeds, it does not matter whether the context has
// ended meanwhile.
func (c *threadConn) awaitConnect(ctx context.Context) error {
	end, bounded := ctx.Deadline()
	first := time.Now().Add(connectGrace)
	if bounded && end.Before(first) {
		first = end
	}
	c.SetWriteDeadline(first)
	err := c.turn.await(c, unix.EPOLLOUT)
	if err == os.ErrDeadlineExceeded && (!bounded || time.Now().Before(end)) {
		c.SetWriteDeadline(end) // the zero time if it has none
		defer context.AfterFunc(ctx, func() {
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) { // that is the write deadline
				c.Abort()
			}
		})()
		err = c.turn.await(c, unix.EPOLLOUT)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	if c.newEvents&(unix.EPOLLERR|unix.EPOLLHUP) == 0 {
		return nil
	}
	errno, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	return os.NewSyscallError("connect", err)
}

func dialError(to netip.AddrPort, err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
}
