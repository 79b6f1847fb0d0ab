//go:build unix

package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// errEnded is the error of a server that ended before it was ready.
var errEnded = errors.New("it ended by itself")

// process is a program in a process group of its own.
type process struct {
	group int
	done  chan struct{} // closed when the program itself has ended
}

// startProcess starts the program. The program ends when this process does, for any reason.
func startProcess(at runOptions, program string, args ...string) (*process, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = at.env
	if at.log != nil {
		cmd.Stdout, cmd.Stderr = at.log, at.log
	}
	if at.root != "" {
		cmd.Dir = "/"
	}
	cmd.SysProcAttr = processAttributes(at)
	p := &process{done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(cmd, started)
	return p, <-started
}

// run starts the program and waits for it. The kernel signals a child when the thread
// that started it ends, so that thread must stay until the child is gone.
func (p *process) run(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := cmd.Start()
	if err == nil {
		p.group = cmd.Process.Pid
	}
	started <- err
	if err == nil {
		_ = cmd.Wait() // how it ended is in its log
	}
}

// stop asks the program to end, then kills what is left of its group.
func (p *process) stop(patience time.Duration) error {
	if p.group == 0 {
		return nil // never started
	}
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(p.group, syscall.SIGTERM) // if it ended just now, all the better
		select {
		case <-p.done:
		case <-time.After(patience):
		}
	}
	for deadline := time.Now().Add(patience); p.groupAlive(); time.Sleep(5 * time.Millisecond) {
		if err := syscall.Kill(-p.group, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process group %d: %w", p.group, err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process group %d is still there", p.group)
		}
	}
	<-p.done
	return nil
}

// kill ends the program's group at once.
func (p *process) kill() {
	if p.group != 0 {
		_ = syscall.Kill(-p.group, syscall.SIGKILL) // if it has ended, all the better
	}
}

// interrupt makes the program end without waiting for its clients.
func (p *process) interrupt() {
	if p.group != 0 {
		_ = syscall.Kill(p.group, syscall.SIGINT) // if it has ended, all the better
	}
}

// freeze stops or continues the program's group. It returns when the program's threads have stopped.
func (p *process) freeze(stop bool) error {
	if !stop {
		return syscall.Kill(-p.group, syscall.SIGCONT)
	}
	err := syscall.Kill(-p.group, syscall.SIGSTOP)
	for deadline := time.Now().Add(time.Second); err == nil && !p.frozen() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	return err
}

// frozen reports whether all threads of the program have stopped. Without /proc it assumes that they have.
func (p *process) frozen() bool {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.group))
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		state := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if err == nil && len(state) > 0 && string(state[0]) != "T" {
			return false
		}
	}
	return true
}

// runAs applies the options to a command.
func runAs(cmd *exec.Cmd, at runOptions) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(at.account), Chroot: at.root}
}

// credential is an account as the kernel knows it; nil is the current user.
func credential(account *owner) *syscall.Credential {
	if account == nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(account.UID), Gid: uint32(account.GID)}
}

// groupAlive reports whether a process of the group is left. Those that have ended but
// were not collected by their parent do not count.
func (p *process) groupAlive() bool {
	if p.group == 0 || errors.Is(syscall.Kill(-p.group, 0), syscall.ESRCH) {
		return false
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return true // no /proc here: believe the signal
	}
	want := strconv.Itoa(p.group)
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		// pid (name) state ppid pgrp ...; the name may hold anything.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) > 2 && string(fields[2]) == want && string(fields[0]) != "Z" {
			return true
		}
	}
	return false
}
