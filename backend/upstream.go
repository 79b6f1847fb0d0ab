package backend

import (
	"context"
	"net"
	"net/netip"
)

// Upstream is how a Tier reaches mailbox servers, and how its sign-ins wait. Its methods are safe for concurrent use.
type Upstream interface {
	// Dial connects to a host:port by TCP, within ctx. It connects from source, an address of this machine; the zero
	// value leaves the choice to the system. The caller owns the connection. Link.Conn is a connection that Dial has
	// returned, so a caller of SignIn that has made the Upstream knows its type.
	Dial(ctx context.Context, source netip.Addr, address string) (net.Conn, error)
	// Wait calls f once, which may block, and returns when f has. While f runs, others may compute in the caller's
	// place. f must use the context that it gets instead of ctx: with it, a Wait inside f gives no place away.
	Wait(ctx context.Context, f func(ctx context.Context))
}

// WaitingClient is a client whose sign-in has to wait for a mailbox server, or for a database that moves. Its methods
// are called by the goroutine of the sign-in alone.
type WaitingClient interface {
	// StillWaits tells the client that it has to wait on. If the client is gone it returns a *ClientError, which ends
	// the wait.
	StillWaits() error
	// Closed returns a channel that gets one value when the client closes its side of the connection, or has done so.
	// Each call returns the same channel. The client may be gone then: StillWaits finds that out.
	Closed() <-chan struct{}
}

// waiting is how one sign-in waits.
type waiting struct {
	wait   func(ctx context.Context, f func(context.Context)) // Upstream.Wait
	client WaitingClient                                      // nil for a sign-in without a client
}

// closed is WaitingClient.Closed; without a client it returns nil, which never gets a value.
func (w waiting) closed() <-chan struct{} {
	if w.client == nil {
		return nil
	}
	return w.client.Closed()
}

// tell is WaitingClient.StillWaits, if there is a client.
func (w waiting) tell() error {
	if w.client == nil {
		return nil
	}
	return w.client.StillWaits()
}
