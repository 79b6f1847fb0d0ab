//go:build !linux

package setup

import "syscall"

// control sets nothing on this system.
func (d Dialer) control(_, _ string, _ syscall.RawConn) error { return nil }
