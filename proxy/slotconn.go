package proxy

import (
	"context"
	"net"
	"syscall"
)

// slotConn is a TCP connection that gives its session's slot back while a Read or Write waits. Reads and writes are for the
// session's own goroutine; the other methods may be called from anywhere.
type slotConn struct {
	net.Conn
	slot *slot
	raw  syscall.RawConn // nil where there is none: then every call counts as waiting
}

func newSlotConn(c net.Conn, s *slot) *slotConn {
	conn := &slotConn{Conn: c, slot: s}
	if sc, ok := c.(syscall.Conn); ok {
		conn.raw, _ = sc.SyscallConn()
	}
	return conn
}

// SyscallConn gives the descriptor beneath, for the relay to take over.
func (c *slotConn) SyscallConn() (syscall.RawConn, error) {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, syscall.EINVAL
	}
	return sc.SyscallConn()
}

// CloseWrite ends our side, so that the peer reads what was sent to its end.
func (c *slotConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// waitRead reads with the slot given back from the start.
func (c *slotConn) waitRead(p []byte) (n int, err error) {
	c.slot.away(func() { n, err = c.Conn.Read(p) })
	return n, err
}

// waitWrite writes with the slot given back from the start.
func (c *slotConn) waitWrite(p []byte) (n int, err error) {
	c.slot.away(func() { n, err = c.Conn.Write(p) })
	return n, err
}

// ContextDialer connects to mailbox servers; *net.Dialer is one.
type ContextDialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// SlotDialer dials for sessions: with the session's set-up slot given back meanwhile, and connections that do the same. The
// slot is found in the context that the session signs in with; without one it is Dialer and nothing else, so that probes can
// share it.
type SlotDialer struct{ Dialer ContextDialer }

type slotKey struct{}

func withSlot(ctx context.Context, s *slot) context.Context {
	return context.WithValue(ctx, slotKey{}, s)
}

// DialContext connects to address.
func (d SlotDialer) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	s, ok := ctx.Value(slotKey{}).(*slot)
	if !ok {
		return d.Dialer.DialContext(ctx, network, address)
	}
	s.away(func() { conn, err = d.Dialer.DialContext(ctx, network, address) })
	if err != nil {
		return nil, err
	}
	return newSlotConn(conn, s), nil
}
