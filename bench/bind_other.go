//go:build !linux

package bench

import "syscall"

// bindWithoutPort does nothing on this system.
func bindWithoutPort(_, _ string, _ syscall.RawConn) error { return nil }
