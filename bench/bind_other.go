//go:build !linux

package bench

import "syscall"

// bindWithoutPort has no like on this system.
func bindWithoutPort(_, _ string, _ syscall.RawConn) error { return nil }
