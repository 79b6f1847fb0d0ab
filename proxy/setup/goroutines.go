package setup

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// goroutines are Threads that start a goroutine for each set-up.
type goroutines struct {
	done     sync.WaitGroup
	panicked func(value any, stack []byte)
}

func newGoroutines(opts Options) *goroutines { return &goroutines{panicked: opts.Panicked} }

// Stop implements Threads.
func (gs *goroutines) Stop() { gs.done.Wait() }

// Post implements Threads. It returns false, because there is no thread.
func (gs *goroutines) Post(func()) bool { return false }

// Adopt implements Threads. It calls take itself.
func (gs *goroutines) Adopt(conn net.Conn, take func(Conn)) error {
	c := &goConn{Conn: conn, owner: gs}
	defer c.survive()
	take(c)
	return nil
}

// Accept implements Threads.
func (gs *goroutines) Accept(*net.TCPListener, func(Conn), func(error) time.Duration) (end func(), err error) {
	return nil, errors.ErrUnsupported
}

// goTurn is the Turn of a set-up with its own goroutine, which holds nobody up.
type goTurn struct{}

// Away implements Turn.
func (goTurn) Away(f func()) {
	defer func() {
		if v := recover(); v != nil {
			panic(&Panic{Value: v, Stack: debug.Stack()})
		}
	}()
	f()
}

func (goTurn) dial(ctx context.Context, by Dialer, network, address string) (net.Conn, error) {
	return by.outside().DialContext(ctx, network, address)
}

// goConn is a Conn that waits by the Go scheduler.
type goConn struct {
	net.Conn
	owner *goroutines
}

// Kept implements Conn. It returns false, because goroutines keep no descriptors back.
func (c *goConn) Kept() bool { return false }

// Start implements Conn.
func (c *goConn) Start(job func(Turn)) {
	c.owner.done.Go(func() {
		defer c.survive()
		job(goTurn{})
	})
}

// survive reports the panic of the function that defers it, if there is one, and closes the connection.
func (c *goConn) survive() {
	switch v := recover().(type) {
	case nil:
		return
	case *Panic:
		c.owner.panicked(v.Value, v.Stack)
	default:
		c.owner.panicked(v, debug.Stack())
	}
	c.Close()
}

// TryWrite implements Conn. A new socket takes a short p without waiting.
func (c *goConn) TryWrite(p []byte) { c.Conn.Write(p) }

// WhenGone implements Conn.
func (c *goConn) WhenGone(func(reset bool)) error { return nil }

// Abort implements Conn.
func (c *goConn) Abort() { c.Conn.Close() }

// CloseWrite implements Conn.
func (c *goConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// SetLinger calls the connection's SetLinger, by which the relay resets a client.
func (c *goConn) SetLinger(seconds int) error {
	if tcp, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		return tcp.SetLinger(seconds)
	}
	return nil
}

// SyscallConn gives access to the descriptor.
func (c *goConn) SyscallConn() (syscall.RawConn, error) {
	if source, ok := c.Conn.(syscall.Conn); ok {
		return source.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// RemotePort implements Conn.
func (c *goConn) RemotePort() netip.AddrPort { return addrPort(c.Conn.RemoteAddr()) }

// LocalPort implements Conn.
func (c *goConn) LocalPort() netip.AddrPort { return addrPort(c.Conn.LocalAddr()) }
