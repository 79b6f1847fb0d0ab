//go:build unix

package peers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"portico/backend/backendtest"
)

// Peer is a proxy under measurement, running.
type Peer struct {
	Name       string
	Version    string
	Plain, TLS string // addresses
	metrics    string // URL, if it has one
	admin      string // socket, if it has one
	site       *site
	cmd        *exec.Cmd
	helper     *exec.Cmd // answers its authentication requests; not part of its cost
}

// starter starts a peer. serverTLS is whether it is to speak TLS to the mailbox server.
type starter struct {
	name      string
	start     func(s *site, serverTLS bool) (*Peer, error)
	serverTLS bool // it can
	slowTLS   bool // a gigabyte takes it many times as long as others
}

// launch starts a peer's program and waits until both its ports answer.
func (p *Peer) launch(s *site, command []string) error {
	logTo := filepath.Join(s.dir, p.Name+".log")
	var err error
	if p.cmd, err = s.run(logTo, command); err != nil {
		p.Stop()
		return err
	}
	for _, addr := range []string{p.Plain, p.TLS} {
		if err := answers(addr); err != nil {
			text, _ := os.ReadFile(logTo)
			p.Stop()
			return fmt.Errorf("%s does not answer at %s: %w\n%s", p.Name, addr, err, text)
		}
	}
	return nil
}

// end kills a program with all it started, and waits.
func end(cmd *exec.Cmd) {
	if cmd == nil || cmd.Process == nil {
		return
	}
	kill(cmd.Process.Pid)
	cmd.Wait() // killed
}

// kill kills a process, its descendants, some of which make process groups of their own, and its group.
func kill(pid int) {
	for _, member := range family(pid) {
		syscall.Kill(member, syscall.SIGKILL)
	}
	syscall.Kill(-pid, syscall.SIGKILL)
}

// freePorts returns addresses on loopback that nobody listens on.
func freePorts(n int) ([]string, error) {
	ports, err := backendtest.FreePorts(n)
	for i := range ports {
		ports[i] = "127.0.0.1:" + ports[i]
	}
	return ports, err
}

func answers(addr string) (err error) {
	for range 100 {
		var conn net.Conn
		if conn, err = net.Dial("tcp", addr); err == nil {
			return conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// Stop ends the peer and its helper.
func (p *Peer) Stop() {
	p.site.end(p.cmd)
	p.site.end(p.helper)
}

// address returns where the peer listens.
func (p *Peer) address(tls bool) string {
	if tls {
		return p.TLS
	}
	return p.Plain
}

func (p *Peer) pid() int { return p.cmd.Process.Pid }

// pids returns the peer's processes, and those that answer its questions of who may sign in.
func (p *Peer) pids() (own, helping []int) {
	for _, pid := range family(p.pid()) {
		if programName(pid) == "auth" { // Dovecot's
			helping = append(helping, pid)
		} else {
			own = append(own, pid)
		}
	}
	if p.helper != nil {
		helping = append(helping, family(p.helper.Process.Pid)...)
	}
	return own, helping
}

// spentOn returns the CPU time that the peer and its helper spend while f runs, with those of their processes that
// begin or end meanwhile.
func (p *Peer) spentOn(f func() error) (own, helping usage, err error) {
	mine, helpers := p.pids()
	ownBefore, err := cpuTime(mine)
	helpBefore, err2 := cpuTime(helpers)
	if err := errors.Join(err, err2, f()); err != nil {
		return own, helping, err
	}
	mine, helpers = p.pids()
	own, err = cpuTime(mine)
	helping, err2 = cpuTime(helpers)
	return own.minus(ownBefore), helping.minus(helpBefore), errors.Join(err, err2)
}
