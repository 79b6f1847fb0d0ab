package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// asks runs a command against the service and returns what it prints.
func (r *running) asks(t testing.TB, status int, args ...string) string {
	t.Helper()
	return r.settings(t, status, args...)
}

// While a server is paused, and even gone, sign-ins wait without an error; nobody else does; and then they are let in.
func TestServerPause(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	live := r.signIn(t)
	r.asks(t, cli.StatusFailed, "server", "pause", "mbx1", "--for", "11m")
	r.asks(t, cli.StatusFailed, "server", "pause", "mbx1")
	r.asks(t, cli.StatusFailed, "server", "pause", "mbx9", "--for", "1s")
	if got := r.asks(t, cli.StatusFine, "server", "pause", "mbx1", "--for", "5m"); !strings.Contains(got,
		"portico server resume mbx1") {
		t.Error(got)
	}
	live.Command("b", "NOOP")
	var waiting []*testkit.Conn
	for range 3 {
		c := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
		c.Expect("* OK *")
		c.Send("a LOGIN alice secret")
		waiting = append(waiting, c)
	}
	testkit.Eventually(t, "the sign-ins wait", func() bool {
		_, metrics := r.get(t, "/metrics")
		return strings.Contains(metrics, `portico_server_signins_held{server="mbx1"} 3`)
	})
	if got := r.asks(t, cli.StatusFine, "server", "list"); !strings.Contains(got, "5m0s, 3 wait") &&
		!strings.Contains(got, "4m5") {
		t.Errorf("list:\n%s", got)
	}
	if got := r.asks(t, cli.StatusFine, "user", "where", "alice"); !strings.Contains(got, "mbx1") { // does not wait
		t.Error(got)
	}
	waiting[0].ExpectSilence(50 * time.Millisecond)
	waiting[0].Close()
	r.asks(t, cli.StatusFine, "server", "resume", "mbx1")
	for _, c := range waiting[1:] {
		c.ReadUntilTagged("a")
		c.Command("b", "NOOP")
	}
}

// A client that is held is told so, and one that says goodbye by signal is not kept.
func TestPauseAndShutdown(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	r.asks(t, cli.StatusFine, "server", "pause", "mbx1", "--for", "5m")
	c := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
	c.Expect("* OK *")
	c.Send("a LOGIN alice secret")
	testkit.Eventually(t, "the sign-in waits", func() bool {
		_, metrics := r.get(t, "/metrics")
		return strings.Contains(metrics, `portico_server_signins_held{server="mbx1"} 1`)
	})
	r.signals <- syscall.SIGTERM
	c.Expect("* BYE *")
	r.stopped(t)
}

// Storage that has to be told is told; when it fails, nobody is let in until it has done what a later move asks for,
// also after a restart.
func TestActivationHook(t *testing.T) {
	site := newTwoServers(t)
	script := filepath.Join(site.dir, "promote")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(script, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	calls := filepath.Join(site.dir, "calls")
	site.replace(t, "{db1: {copies: [mbx1, mbx2]}}",
		fmt.Sprintf("{db1: {copies: [mbx1, mbx2], activate: {command: [%q]}}}", script))
	site.replace(t, "data_dir", "penalties: {first: 0s}\ndata_dir")
	file := filepath.Join(site.dir, "portico.yaml")
	put("echo $* >>" + calls)
	r := site.site.serve(t, file)
	r.asks(t, cli.StatusFine, "database", "move", "db1", "mbx2")
	if got, _ := os.ReadFile(calls); string(got) != "deactivate db1 mbx1 mbx2\nactivate db1 mbx1 mbx2\n" {
		t.Errorf("calls: %s", got)
	}
	if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a OK ") {
		t.Error(got)
	}

	put("[ $1 = deactivate ] || { echo no such volume; exit 1; }")
	if got := r.asks(t, cli.StatusFailed, "database", "move", "db1", "mbx1"); !strings.Contains(got,
		"no such volume") {
		t.Errorf("move: %s", got)
	}
	for range 2 {
		if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a NO [UNAVAILABLE] ") {
			t.Error(got)
		}
		if got := r.asks(t, cli.StatusBad, "database", "status"); strings.Count(got, "FailedAndSuspended") != 2 {
			t.Errorf("status:\n%s", got)
		}
		if _, metrics := r.get(t, "/metrics"); !strings.Contains(metrics, "portico_databases_suspended 1") {
			t.Error("/metrics does not tell")
		}
		r.signals <- syscall.SIGTERM
		r.stopped(t)
		r = site.site.serve(t, file)
	}
	put("exit 0")
	r.asks(t, cli.StatusFine, "database", "move", "db1", "mbx1")
	if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a OK ") {
		t.Error(got)
	}
}

// A user who is moved is signed in elsewhere from then on; and back.
func TestUserMove(t *testing.T) {
	site := newTwoServers(t)
	site.replace(t, "{db1: {copies: [mbx1, mbx2]}}",
		"{db1: {copies: [mbx1]}, db2: {copies: [mbx2]}}\ndirectory: {sources: [{rules: [{match: \"*\", "+
			"database: db1}]}]}")
	r := site.site.serve(t, filepath.Join(site.dir, "portico.yaml"))
	c := r.signIn(t)
	if got := r.asks(t, cli.StatusFine, "user", "move", "alice", "db2"); !strings.Contains(got, "db2") ||
		!strings.Contains(got, "yes") {
		t.Error(got)
	}
	c.Expect("* BYE [UNAVAILABLE] Your mailbox is being moved*")
	if got := r.asks(t, cli.StatusFine, "user", "where", "alice", "-o", "list"); !strings.Contains(got,
		"Server   : mbx2\nState    : up\nMoved    : yes") {
		t.Error(got)
	}
	r.signIn(t).Close()
	r.asks(t, cli.StatusFailed, "user", "move", "alice", "db9")
	r.asks(t, cli.StatusFailed, "user", "move", "alice")
	if got := r.asks(t, cli.StatusFine, "user", "move", "alice", "--clear"); !strings.Contains(got, "mbx1") {
		t.Error(got)
	}
}

// A server's policy keeps rebalance and block --move from it, and not a move by name.
func TestServerPolicy(t *testing.T) {
	site := newTwoServers(t)
	r := site.site.serve(t, filepath.Join(site.dir, "portico.yaml"))
	r.asks(t, cli.StatusFine, "server", "policy", "mbx2", "blocked")
	if got := r.asks(t, cli.StatusFine, "server", "list", "-o", "list"); !strings.Contains(got,
		"Policy          : Blocked") {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusBad, "server", "block", "mbx1", "--move"); !strings.Contains(got,
		"kept: activation on the server is blocked") {
		t.Error(got)
	}
	r.asks(t, cli.StatusFine, "database", "move", "db1", "mbx2")
	r.asks(t, cli.StatusFailed, "server", "policy", "mbx2", "sometimes")
	r.asks(t, cli.StatusFine, "server", "policy", "mbx2", "reset")
}
