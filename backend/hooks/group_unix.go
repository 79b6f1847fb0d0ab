//go:build unix

package hooks

import (
	"os/exec"
	"syscall"
)

// inGroup has a program, when its time is over, killed with all that it has started.
func inGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
