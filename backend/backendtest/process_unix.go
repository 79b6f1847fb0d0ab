//go:build unix && !linux

package backendtest

import "syscall"

// processAttributes give a child its own group.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
