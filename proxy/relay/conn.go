package relay

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// Conn is a TCP connection with two phases. In the set-up phase it passes every call on to the net.Conn that it was
// made from; a *tls.Conn may use it and do its handshake. In the loop phase it is a bare descriptor on an event loop:
// Read returns at once, with a temporary error if there are no bytes, and Write keeps everything for the loop to send.
// The same *tls.Conn works in both phases.
//
// In the set-up phase the connection belongs to the set-up's goroutine, in the loop phase to one loop.
type Conn struct {
	net    net.Conn   // nil in the loop phase
	work   *workspace // the loop's
	fd     int
	empty  bool // the last read took all bytes
	hungUp bool // the peer has closed: no bytes come after the unread ones
}

// workspace is memory that the connections of a loop use in turns.
type workspace struct {
	gather     []byte // the records that TLS has written
	prefetched prefetched
}

// NewConn returns a Conn in the set-up phase. For a loop to take it over, c must give its descriptor (syscall.Conn).
func NewConn(c net.Conn) *Conn { return &Conn{net: c, fd: -1} }

// detachable is a connection that can give its descriptor away, such as one that belongs to a sign-in thread.
type detachable interface{ Detach() (fd int, err error) }

// Release makes a connection that belongs to a sign-in thread usable by any goroutine. Loops do not need it: they take
// the descriptor.
func (c *Conn) Release() error {
	bound, ok := c.net.(detachable)
	if !ok {
		return nil
	}
	fd, err := bound.Detach()
	if err != nil {
		return fmt.Errorf("take descriptor: %w", err)
	}
	file := os.NewFile(uintptr(fd), "session")
	defer file.Close() // the connection has its own
	if c.net, err = net.FileConn(file); err != nil {
		return fmt.Errorf("take descriptor: %w", err)
	}
	return nil
}

// Read reads from the connection.
func (c *Conn) Read(p []byte) (int, error) {
	if c.net != nil {
		return c.net.Read(p)
	}
	return c.readNow(p)
}

// Write writes to the connection.
func (c *Conn) Write(p []byte) (int, error) {
	if c.net != nil {
		return c.net.Write(p)
	}
	c.work.gather = append(c.work.gather, p...)
	return len(p), nil
}

// Close closes the connection in the set-up phase. In the loop phase its loop does that.
func (c *Conn) Close() error {
	if c.net != nil {
		return c.net.Close()
	}
	return nil
}

// LocalAddr returns the local address in the set-up phase, and nil in the loop phase.
func (c *Conn) LocalAddr() net.Addr {
	if c.net != nil {
		return c.net.LocalAddr()
	}
	return nil
}

// RemoteAddr returns the peer's address in the set-up phase, and nil in the loop phase.
func (c *Conn) RemoteAddr() net.Addr {
	if c.net != nil {
		return c.net.RemoteAddr()
	}
	return nil
}

// SetDeadline bounds both directions in the set-up phase. In the loop phase it does nothing: a loop has its own
// time-outs.
func (c *Conn) SetDeadline(t time.Time) error {
	if c.net != nil {
		return c.net.SetDeadline(t)
	}
	return nil
}

// SetReadDeadline is SetDeadline for reading.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.net != nil {
		return c.net.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline is SetDeadline for writing.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.net != nil {
		return c.net.SetWriteDeadline(t)
	}
	return nil
}

// wouldBlock is the error of a read that finds no bytes. Its Temporary method returns true, so crypto/tls keeps its
// state and may be called again.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "nothing to read now" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }
func (wouldBlock) Unwrap() error   { return os.ErrDeadlineExceeded }

var errWouldBlock error = wouldBlock{}

func isWouldBlock(err error) bool {
	var blocked wouldBlock
	return err == errWouldBlock || errors.As(err, &blocked)
}
