package node

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// Another order of copies moves nobody, a reload that takes the active copy away is refused with words that help, and
// after they are followed it is not.
func TestReloadMovesNobody(t *testing.T) {
	site := newTwoServers(t)
	r := site.site.serve(t, filepath.Join(site.dir, "portico.yaml"))
	r.logged(t, `"database":"db1","server":"mbx1"`)
	first := r.signIn(t)
	site.replace(t, "copies: [mbx1, mbx2]", "copies: [mbx2, mbx1]")
	reload(t, r, true)
	if got := r.asks(t, cli.StatusFine, "user", "where", "alice"); !strings.Contains(got, "mbx1") {
		t.Errorf("after another order: %s", got)
	}
	first.Command("b", "NOOP")
	first.Close()

	site.replace(t, "copies: [mbx2, mbx1]", "copies: [mbx2]")
	reload(t, r, false)
	r.logged(t, "run `portico database move db1 mbx2` first")
	if got := r.asks(t, cli.StatusFine, "database", "status"); !strings.Contains(got, "mbx1    Mounted") {
		t.Errorf("after a refusal:\n%s", got)
	}
	r.asks(t, cli.StatusFine, "database", "move", "db1", "mbx2")
	reload(t, r, true)
	if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a OK ") || site.book.count("mbx1") > 0 {
		t.Error(got)
	}
}

// reload sends SIGHUP and waits for what comes of it.
func reload(t *testing.T, r *running, fine bool) {
	t.Helper()
	words := `"message":"reloaded"`
	if !fine {
		words = `"message":"configuration not reloaded: nothing has changed"`
	}
	before := strings.Count(r.log.String(), words)
	r.signals <- syscall.SIGHUP
	testkit.Eventually(t, words, func() bool { return strings.Count(r.log.String(), words) > before })
}

// A start without the active copy in the configuration is a start; that database alone is closed, until it is moved.
func TestStartWithoutActiveCopy(t *testing.T) {
	site := newTwoServers(t)
	file := filepath.Join(site.dir, "portico.yaml")
	r := site.site.serve(t, file)
	r.asks(t, cli.StatusFine, "database", "move", "db1", "mbx2")
	r.signals <- syscall.SIGTERM
	r.stopped(t)
	site.replace(t, "copies: [mbx1, mbx2]", "copies: [mbx1]")
	if got := runs(t, cli.StatusBad, "check", "--config", file); !strings.Contains(got,
		"database db1 is active on mbx2, which is not among its copies") {
		t.Errorf("check says\n%s", got)
	}
	r = site.site.serve(t, file)
	r.logged(t, "no user is admitted until portico database move")
	if got := r.asks(t, cli.StatusBad, "database", "status"); !strings.Contains(got, "mbx2    FailedAndSuspended") {
		t.Errorf("status:\n%s", got)
	}
	if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a NO [UNAVAILABLE] ") {
		t.Error(got)
	}
	r.asks(t, cli.StatusBad, "database", "rebalance")
	reload(t, r, true)
	r.asks(t, cli.StatusFine, "database", "move", "db1", "mbx1")
	if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a OK ") {
		t.Error(got)
	}
}

// runs runs a command that asks nobody.
func runs(t *testing.T, status int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if got := cli.Run(args, &out, &out, program); got != status {
		t.Errorf("portico %s: status %d, want %d\n%s", strings.Join(args, " "), got, status, &out)
	}
	return out.String()
}

// While a move waits for a hook that does not end, a reload, changes of settings, blocks and maintenance go their way,
// and so does SIGTERM: the hook is broken off, and the database is suspended, also after the next start.
func TestNothingWaitsForAMove(t *testing.T) {
	site := newTwoServers(t)
	file := filepath.Join(site.dir, "portico.yaml")
	script := filepath.Join(site.dir, "promote")
	if err := os.WriteFile(script,
		[]byte("#!/bin/sh\necho $* >>"+script+".calls\n[ -e "+script+".go ] || exec sleep 600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	site.replace(t, "{db1: {copies: [mbx1, mbx2]}}",
		fmt.Sprintf("{db1: {copies: [mbx1, mbx2], activate: {command: [%q], timeout: 4m}}}", script))
	r := site.site.serve(t, file)
	moved := make(chan string, 1)
	go func() { moved <- r.asks(t, cli.StatusFailed, "database", "move", "db1", "mbx2") }()
	testkit.Eventually(t, "the hook runs", func() bool { _, err := os.Stat(script + ".calls"); return err == nil })
	reload(t, r, true)
	r.asks(t, cli.StatusFine, "settings", "get")
	r.asks(t, cli.StatusFine, "settings", "set", "proxy_target_port=1994")
	r.asks(t, cli.StatusFine, "server", "block", "mbx1")
	r.asks(t, cli.StatusFine, "server", "policy", "mbx1", "Blocked")
	r.asks(t, cli.StatusFine, "component", "set", "ImapProxy", "--state", "Active", "--requester", "Maintenance")
	site.replace(t, "copies: [mbx1, mbx2]", "copies: [mbx1]")
	reload(t, r, false)
	r.logged(t, "database db1 is moving from mbx1 to mbx2")
	site.replace(t, "copies: [mbx1]", "copies: [mbx1, mbx2]")
	select {
	case got := <-moved:
		t.Errorf("the move is over: %s", got)
	default:
	}
	r.signals <- syscall.SIGTERM
	r.stopped(t)
	if got := <-moved; !strings.Contains(got, errStopping.Error()) {
		t.Errorf("the move says %s", got)
	}
	r = site.site.serve(t, file)
	if got := r.asks(t, cli.StatusBad, "database", "status"); strings.Count(got, "FailedAndSuspended") != 2 {
		t.Errorf("after a restart:\n%s", got)
	}
	site.put(t, "promote.go", "")
	r.asks(t, cli.StatusFine, "database", "move", "db1", "mbx2")
}

// Whoever's session ends is told why: a move of the database or of the user, a kick, this node's maintenance.
func TestEndsSayWhy(t *testing.T) {
	site := newTwoServers(t)
	site.replace(t, "{db1: {copies: [mbx1, mbx2]}}",
		"{db1: {copies: [mbx1, mbx2]}, db2: {copies: [mbx2, mbx1]}}\ndirectory: {sources: [{rules: [{match: \"*\", "+
			"database: db1}]}]}")
	r := site.site.serve(t, filepath.Join(site.dir, "portico.yaml"))
	const moved = "* BYE [UNAVAILABLE] Your mailbox is being moved*"
	for _, test := range []struct {
		args        []string
		bye, reason string
	}{
		{[]string{"database", "move", "db1", "mbx2"}, moved, "moved"},
		{[]string{"server", "block", "mbx2", "--move"}, moved, "moved"},
		{[]string{"user", "move", "alice", "db2"}, moved, "moved"},
		{[]string{"user", "kick", "alice"}, "* BYE Session closed by the administrator*", "kicked"},
		{[]string{"maintenance", "start", "--yes", "--drain", "0s"}, "* BYE [UNAVAILABLE] Going down for maintenance*",
			"maintenance"},
	} {
		c := r.signIn(t)
		before := strings.Count(r.log.String(), `"reason":"`+test.reason+`"`)
		r.asks(t, cli.StatusFine, test.args...)
		c.Expect(test.bye)
		testkit.Eventually(t, test.reason,
			func() bool { return strings.Count(r.log.String(), `"reason":"`+test.reason+`"`) == before+1 })
	}
}

// A move to a server that does not answer is refused unless it is forced, and rebalance leads away from there.
func TestForcedMove(t *testing.T) {
	site := newTwoServers(t)
	site.replace(t, ", mbx2: {", ", mbx3: {address: \"127.0.0.1:1\", tls: none}, mbx2: {")
	site.replace(t, "copies: [mbx1, mbx2]", "copies: [mbx1, mbx2, mbx3]")
	r := site.site.serve(t, filepath.Join(site.dir, "portico.yaml"))
	if got := r.asks(t, cli.StatusFailed, "database", "move", "db1", "mbx3"); !strings.Contains(got,
		"does not answer") ||
		!strings.Contains(got, "--force") {
		t.Errorf("move: %s", got)
	}
	if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a OK ") {
		t.Error(got)
	}
	r.asks(t, cli.StatusFine, "server", "block", "mbx1")
	r.asks(t, cli.StatusFine, "database", "move", "db1", "mbx3", "--force")
	if got := r.asks(t, cli.StatusFine, "database", "rebalance"); !strings.Contains(got, "moved to mbx2") {
		t.Errorf("rebalance: %s", got)
	}
}

// What is refused at the last stage leaves nothing in the store, be it a change of settings or a reload.
func TestRefusedChangeLeavesNothing(t *testing.T) {
	site := newTwoServers(t)
	r := site.site.serve(t, filepath.Join(site.dir, "portico.yaml"))
	before := r.current()
	err := r.apply(t.Context(), withBanner("\n"), func() error { t.Error("it is stored"); return nil })
	if err == nil || r.current() != before {
		t.Errorf("in force: %v", err)
	}
	site.replace(t, "databases: {db1: {copies: [mbx1, mbx2]}}",
		"databases: {db1: {copies: [mbx2]}, db2: {copies: [mbx2]}}\nrouting: hash")
	reload(t, r, false)
	for _, key := range []string{"routing/", "active/db2"} {
		if left, err := r.store.site.List(t.Context(), key); err != nil || len(left) > 0 {
			t.Errorf("a refused reload leaves %v, %v", left, err)
		}
	}
	if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a OK ") {
		t.Error(got)
	}
}
