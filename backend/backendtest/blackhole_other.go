//go:build !linux

package backendtest

import (
	"errors"
	"fmt"
)

// Blackhole is a loopback address where a connection attempt gets no answer at all.
// It is known to work on Linux only.
type Blackhole struct{}

// StartBlackhole fails with errors.ErrUnsupported here.
func StartBlackhole() (*Blackhole, error) {
	return nil, fmt.Errorf("blackhole: %w", errors.ErrUnsupported)
}

// Addr is the address that does not answer.
func (b *Blackhole) Addr() string { return "" }

// Close frees it.
func (b *Blackhole) Close() error { return nil }
