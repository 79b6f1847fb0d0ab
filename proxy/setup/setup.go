// Package setup runs the set-ups of sessions, which are plain sequential code, on the sign-in threads.
//
// On Linux each thread has an epoll set and runs one set-up at a time. If a set-up would wait for a connection, the
// thread switches to the coroutine of another set-up, without the Go scheduler or its poller. To wait for anything
// else, a set-up calls Turn.Away. So a sign-in wakes no other thread, and the number of threads bounds how many
// set-ups compute at once. On other systems, or if threads do not work (see Check), every set-up is a goroutine.
//
// The package has connections and turns. It must not know the protocol, limits, settings, logs or metrics.
package setup

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Options are the options of Start.
type Options struct {
	Threads int // sign-in threads, at least one
	// Kept is the lowest descriptor that is kept back for other purposes than clients (0: none). A dial that gets such
	// a descriptor fails with EMFILE, and a connection that has one says so; see Conn.Kept. Goroutines ignore it.
	Kept int
	// Panicked receives the value of a panic that no set-up has caught, and the stack at which it happened. The
	// connection that it was for is closed. Panicked must not block.
	Panicked func(value any, stack []byte)
	// Check says why threads do not work here, nil if they do. If they do not, each set-up gets a goroutine. The
	// default is Check.
	Check func() error
	// FellBack receives what Check said, once and before Start returns. It may be nil.
	FellBack func(reason error)
}

// Threads run set-ups. Methods are safe for concurrent use.
type Threads interface {
	// Accept accepts connections from ln, on all threads, until the returned function is called. It calls take with
	// each connection on its thread; take must not wait. If accepting fails, failed returns how long to pause. Accept
	// does not own ln. Goroutines return errors.ErrUnsupported; see Adopt.
	Accept(ln *net.TCPListener, take func(Conn), failed func(error) time.Duration) (end func(), err error)
	// Adopt moves a connection to a thread, and calls take with it there. It owns conn.
	Adopt(conn net.Conn, take func(Conn)) error
	// Post makes a thread call f soon, between set-ups; f must not wait. If there is no thread, it returns false and
	// does not call f. It does not block, so a thread of higher priority may call it.
	Post(f func()) bool
	// Stop waits until the last set-up has ended, and ends the threads. Accepting must have ended before.
	Stop()
}

// Turn is the right of one set-up to run on its thread. It belongs to the function that got it.
type Turn interface {
	// Away runs f, which may wait for anything, and lets other set-ups have their turn meanwhile. A panic of f is one
	// of the caller's, as a *Panic.
	Away(f func())
	dial(ctx context.Context, by Dialer, network, address string) (net.Conn, error)
}

// Conn is a TCP connection of a set-up. Only its turn may read, write and close it. Any goroutine may set deadlines
// and call Abort. A deadline in the past, such as [time.Unix](1, 0), interrupts the current call at once.
type Conn interface {
	net.Conn
	syscall.Conn
	// Start begins the set-up of a connection just accepted. Before job returns, the connection must be closed or
	// detached. If job panics, the connection is closed.
	Start(job func(Turn))
	// Kept says whether the connection has a descriptor that is kept back (Options.Kept): no other one was left.
	Kept() bool
	// TryWrite writes as much of p as the kernel takes at once. It may be called before the set-up has begun.
	TryWrite(p []byte)
	// WhenGone makes the thread call f when the peer closes its side of the connection, and when it resets the
	// connection: once for each, and at once if it has happened already. Unread bytes make no difference. f must not
	// wait; nil ends the calls. Goroutines never call f.
	WhenGone(f func(reset bool)) error
	// Abort makes every call fail, also the current one. The turn still has to close the connection.
	Abort()
	// CloseWrite half-closes the connection: the peer can read what was sent, up to its end.
	CloseWrite() error
	// RemotePort and LocalPort return the peer's address and our own, the zero value when there is none.
	RemotePort() netip.AddrPort
	LocalPort() netip.AddrPort
}

// Panic is the value that Turn.Away panics with if its function has panicked.
type Panic struct {
	Value any
	Stack []byte // of that panic
}

// ErrStopped is returned after Threads.Stop.
var ErrStopped = errors.New("sign-in threads stopped")

type turnKey struct{}

// With returns a context in which a Dialer and Away find the turn.
func With(ctx context.Context, t Turn) context.Context { return context.WithValue(ctx, turnKey{}, t) }

// turnOf returns the turn in a context, or nil.
func turnOf(ctx context.Context) Turn {
	t, _ := ctx.Value(turnKey{}).(Turn)
	return t
}

// Away calls f once and returns when f returns; f may block. Meanwhile other set-ups run on the thread. f runs in a
// goroutine of its own and gets ctx without the turn, which it must not use. Without a turn in ctx, Away only calls f.
func Away(ctx context.Context, f func(ctx context.Context)) {
	t := turnOf(ctx)
	if t == nil {
		f(ctx)
		return
	}
	t.Away(func() { f(With(ctx, nil)) })
}

// ContextDialer opens connections; *net.Dialer implements it.
type ContextDialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Dialer opens connections for set-ups. They belong to the turn in the context, and other set-ups run while it waits.
// Without a turn in the context it is a plain dialer, so that probes can use it too.
type Dialer struct {
	Dialer ContextDialer
	Source netip.Addr // to connect from, if Dialer is a *net.Dialer; the zero value leaves that to the system
	// ReceiveMemory is how many bytes of memory the kernel may use for what a connection has received and nobody has
	// read, if Dialer is a *net.Dialer and the system is Linux. The kernel bounds it by twice net.core.rmem_max. 0
	// leaves it to the kernel.
	ReceiveMemory int
}

// DialContext connects to address by TCP.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	t := turnOf(ctx)
	if t == nil {
		return d.outside().DialContext(ctx, network, address)
	}
	return t.dial(ctx, d, network, address)
}

// outside returns a dialer with the same options that needs no turn.
func (d Dialer) outside() ContextDialer {
	std, ok := d.Dialer.(*net.Dialer)
	if !ok || !d.Source.IsValid() && d.ReceiveMemory == 0 {
		return d.Dialer
	}
	with := *std
	with.Control = d.control
	if d.Source.IsValid() {
		with.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(d.Source, 0))
	}
	return &with
}

// addrPort returns a TCP address, and for any other kind the zero value.
func addrPort(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
