//go:build !linux

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

// Threads starts a goroutine for each set-up.
type Threads struct {
	done     sync.WaitGroup
	panicked func(value any, stack []byte)
}

// Turn is one set-up's goroutine.
type Turn struct{}

// Start returns Threads. A panic of a set-up ends its connection alone: panicked receives its value and stack.
func Start(_, _ int, panicked func(value any, stack []byte)) (*Threads, error) {
	return &Threads{panicked: panicked}, nil
}

// Stop waits until the last set-up is over.
func (ts *Threads) Stop() { ts.done.Wait() }

// Post answers false: there is no thread to call anything.
func (ts *Threads) Post(func()) bool { return false }

// Adopt calls take with the connection. It owns conn.
func (ts *Threads) Adopt(conn net.Conn, take func(*Conn)) error {
	c := &Conn{Conn: conn, threads: ts}
	defer c.survive()
	take(c)
	return nil
}

// Accept can not be done here: listeners are accepted from one by one, see Adopt.
func (ts *Threads) Accept(*net.TCPListener, func(*Conn), func(error) time.Duration) (end func(), err error) {
	return nil, errors.ErrUnsupported
}

// Away runs f.
func (*Turn) Away(f func()) { f() }

func (*Turn) dial(ctx context.Context, by Dialer, network, address string) (net.Conn, error) {
	return by.outside().DialContext(ctx, network, address)
}

// Conn is a connection of a set-up.
type Conn struct {
	net.Conn
	threads *Threads
}

// Kept says no: nobody knows here.
func (c *Conn) Kept() bool { return false }

// Start begins the set-up of a connection just accepted.
func (c *Conn) Start(job func(*Turn)) {
	c.threads.done.Go(func() {
		defer c.survive()
		job(new(Turn))
	})
}

// survive reports the panic of the function that defers it, if there is one, and closes the connection.
func (c *Conn) survive() {
	if v := recover(); v != nil {
		c.threads.panicked(v, debug.Stack())
		c.Close()
	}
}

// TryWrite writes p, which is short. It may be called before the set-up has begun.
func (c *Conn) TryWrite(p []byte) { c.Conn.Write(p) }

// WhenGone calls nobody here.
func (c *Conn) WhenGone(func(reset bool)) error { return nil }

// Abort makes every call fail, that under way too.
func (c *Conn) Abort() { c.Conn.Close() }

// CloseWrite ends our side, so that the peer reads what was sent to its end.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// SyscallConn gives the descriptor.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if source, ok := c.Conn.(syscall.Conn); ok {
		return source.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// RemotePort returns the peer's address, or the zero value if it is no TCP address.
func (c *Conn) RemotePort() netip.AddrPort { return addrPort(c.Conn.RemoteAddr()) }

// LocalPort returns our own.
func (c *Conn) LocalPort() netip.AddrPort { return addrPort(c.Conn.LocalAddr()) }
