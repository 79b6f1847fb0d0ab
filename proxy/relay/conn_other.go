//go:build !linux

package relay

import (
	"errors"
	"time"
)

// New starts the relay of this system: Pumps.
func New(opts Options) (Relay, error) { return NewPumps(opts) }

// prefetched is empty: only event loops on Linux receive ahead.
type prefetched struct{}

// readNow is never called on this system, which has no loops.
func (c *Conn) readNow([]byte) (int, error) { return 0, errors.ErrUnsupported }

// unacknowledged returns 1 on this system, which does not say how many bytes are unacknowledged: some may be.
func (c *Conn) unacknowledged() int { return 1 }

// gone returns false on this system, which does not say it before the bytes are read.
func (c *Conn) gone() (closed, reset bool) { return false, false }

// setKeepAlive leaves the kernel's time-outs as they are.
func (c *Conn) setKeepAlive(_, _ time.Duration) {}
