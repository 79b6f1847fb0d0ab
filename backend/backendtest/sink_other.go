//go:build !linux

package backendtest

import "net"

// sinkHasLoop says whether serveLoop is there.
const sinkHasLoop = false

func (s *Sink) serveLoop(ln *net.TCPListener) error { return s.serveGoroutines(ln) }
