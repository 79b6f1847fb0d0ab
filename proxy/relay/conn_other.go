//go:build !linux

package relay

import (
	"errors"
	"time"
)

// New starts the relay of this system: Pumps.
func New(opts Options) (Relay, error) { return NewPumps(opts) }

// early would be what was received ahead.
type early struct{}

// readNow is never reached where there are no loops.
func (c *Conn) readNow([]byte) (int, error) { return 0, errors.ErrUnsupported }

// unacknowledged would return how many bytes the peer's kernel has not acknowledged. Here nobody knows: some may be
// left.
func (c *Conn) unacknowledged() int { return 1 }

// gone would say whether the peer has closed or reset the connection behind bytes that are not read. Here nobody
// knows.
func (c *Conn) gone() (closed, reset bool) { return false, false }

// setKeepAlive leaves the kernel's time-outs as they are.
func (c *Conn) setKeepAlive(_, _ time.Duration) {}
