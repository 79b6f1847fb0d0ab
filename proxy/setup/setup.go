// Package setup gives the set-ups of sessions, which are conversations in plain sequential code, threads of their own
// to take turns on.
//
// On Linux each thread has an epoll set and runs one set-up at a time. Where a set-up would wait for a connection, the
// thread goes on with another: a switch between coroutines, of which neither the Go scheduler nor its poller knows.
// What waits for anything else goes through Turn.Away. So a sign-in wakes no thread but its own, and no more set-ups
// compute at once than there are threads. On other systems, for development, every set-up is a goroutine.
//
// The package knows connections and turns. It must not know what is said on them, nor limits, settings, logs or
// metrics.
package setup

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// Panic is what Turn.Away panics with when what it ran has.
type Panic struct {
	Value any
	Stack []byte // where that was
}

// ErrStopped is returned for what comes after Threads.Stop.
var ErrStopped = errors.New("set-up threads stopped")

type turnKey struct{}

// With returns a context by which a Dialer, and Away, find the turn.
func With(ctx context.Context, t *Turn) context.Context { return context.WithValue(ctx, turnKey{}, t) }

// turnOf returns the turn in a context, or nil.
func turnOf(ctx context.Context) *Turn {
	t, _ := ctx.Value(turnKey{}).(*Turn)
	return t
}

// Away calls f once, which may block, and returns when f has. The turn in ctx lets other set-ups have theirs meanwhile.
// The context that f gets is ctx without the turn: f runs in a goroutine of its own, which must not use it. Without a
// turn in ctx, Away just calls f.
func Away(ctx context.Context, f func(ctx context.Context)) {
	t := turnOf(ctx)
	if t == nil {
		f(ctx)
		return
	}
	t.Away(func() { f(With(ctx, nil)) })
}

// ContextDialer opens connections; *net.Dialer is one.
type ContextDialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Dialer opens connections for set-ups: the turn in the context has them, and others have theirs while it waits.
// Without a turn it is Dialer and nothing else, so that probes can share it.
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

// outside returns the dialer that does the same without a turn.
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
