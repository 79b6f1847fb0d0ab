//go:build unix && !linux

package backendtest

import "syscall"

// processAttributes give a child an account and its own group.
func processAttributes(account *owner) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: credential(account)}
}
