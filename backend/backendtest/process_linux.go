package backendtest

import "syscall"

// processAttributes give a child its place and its own group, and end it with its parent: by
// SIGTERM, upon which Dovecot's master process takes its children along.
func processAttributes(at runOptions) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM, Credential: credential(at.account),
		Chroot: at.root}
}
