//go:build unix && !linux

package backendtest

import "syscall"

// processAttributes give a child its place and its own group.
func processAttributes(at runOptions) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: credential(at.account), Chroot: at.root}
}
