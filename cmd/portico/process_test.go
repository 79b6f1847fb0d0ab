//go:build unix

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// A real process with real signals, as a service manager sees it.
func TestProcess(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	manager.SetReadDeadline(time.Now().Add(testkit.Patience))
	told := func(want string) {
		t.Helper()
		buf := make([]byte, 4096)
		for {
			n, err := manager.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if got := string(buf[:n]); regexp.MustCompile(want).MatchString(got) {
				return
			} else if got != "WATCHDOG=1" {
				t.Fatalf("told %q, want %s", got, want)
			}
		}
	}

	cmd := program(t, "serve", "--config", site.write(t, ""))
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+manager.LocalAddr().String(), "WATCHDOG_USEC=200000")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told("^READY=1$")
	told("^WATCHDOG=1$")
	send(t, cmd.Process, syscall.SIGHUP)
	told(`^RELOADING=1\nMONOTONIC_USEC=\d+$`)
	told("^READY=1$")
	send(t, cmd.Process, syscall.SIGTERM)
	told("^STOPPING=1$")
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &log)
	}
}

func send(t *testing.T, p *os.Process, sig os.Signal) {
	t.Helper()
	if err := p.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// Two descriptors a session: the soft limit of many systems would be 512 sessions.
func TestDescriptorLimitIsRaised(t *testing.T) {
	testkit.Need(t, "sh")
	site := newSite(t)
	cmd := program(t, "serve", "--config", site.writeWithout(t, "listeners", `listeners: [{address: "256.256.256.256:1", tls: none}]`))
	var hard syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &hard); err != nil {
		t.Fatal(err)
	}
	cmd.Args = append([]string{"sh", "-c", `ulimit -S -n 100; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	out, _ := cmd.CombinedOutput()
	_, after, _ := strings.Cut(string(out), `"descriptors":`)
	var got uint64
	if fmt.Sscan(after, &got); got < hard.Max-1 {
		t.Errorf("%d descriptors where %d are allowed: %s", got, hard.Max, out)
	}
}
