//go:build !linux

package setup

import "syscall"

// withoutPort has no like on this system.
func withoutPort(_, _ string, _ syscall.RawConn) error { return nil }
