package node

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// copyStatus is the status of a copy, as `portico database status` has it.
func (r *running) copyStatus(t testing.TB, database, server string) string {
	t.Helper()
	_, out, _ := command("database", "status", "--admin", filepath.Join(r.site.dir, "admin.sock"))
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == database && f[1] == server {
			return f[2]
		}
	}
	t.Errorf("no copy of %s on %s in\n%s", database, server, out)
	return ""
}

// calmTimings are for probes that look often, and give up late: a busy machine fails none of them.
const calmTimings = healthMailboxes + `  self_test: {interval: 1s, timeout: 30s, failures: 2}
  deep_test: {interval: 1s, timeout: 30s, failures: 2}
  proxy_test: {interval: 1s, timeout: 30s, failures: 2}
  ctp: {interval: 1s, timeout: 30s, failures: 2}
`

// newMemorySite is newWatchedSite with mailbox servers of this process.
func newMemorySite(t testing.TB) *watchedSite {
	t.Helper()
	w := &watchedSite{site: newSite(t)}
	for i := range w.valves {
		server, err := backendtest.NewMemory(backendtest.MemoryOptions{Users: []backendtest.User{
			{Name: "health1", Password: "probe-it", Mail: backendtest.DemoMail("health", "mbx", time.Now())},
			{Name: "health2", Password: "probe-it", Mail: backendtest.DemoMail("health", "mbx", time.Now())},
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.valves[i] = newValve(t, testkit.Serve(t, server))
	}
	w.put(t, "health.password", "probe-it\n")
	return w
}

// A copy that a failover left because its mail could not be read is Failed: it is well again, the block is lifted,
// Portico restarts, and still nothing moves there, until an operator resumes it.
func TestFailedCopyAfterFailover(t *testing.T) {
	testkit.NoLeaks(t)
	w := newMemorySite(t)
	file := w.config(t, calmTimings+"  recovery: {wait: 1s}\n")
	w.replace(t, "{db1: {copies: [mbx1]}", "{db1: {copies: [mbx1, mbx2]}")
	r := w.serve(t, file)
	r.impatient(t)
	w.valves[0].turn(fault{hangsUpOn: opens})
	r.eventually(t, "db1 moves", func() bool { return r.mailbox.activeOn("db1") == "mbx2" })
	if got := r.copyStatus(t, "db1", "mbx1"); got != "Failed" {
		t.Errorf("the old copy is %s", got)
	}
	if _, metrics := r.get(t, "/metrics"); !strings.Contains(metrics, "portico_database_copies_failed 1\n") {
		t.Error("/metrics does not tell")
	}
	w.valves[0].set(fault{})
	r.eventually(t, "its block is lifted", func() bool { return !r.mailbox.active.Blocked("mbx1") })
	for range 2 {
		if got := r.asks(t, cli.StatusBad, "database", "rebalance"); !strings.Contains(got,
			"kept: no healthy copy (mbx1): the copy is Failed") {
			t.Errorf("rebalance: %s", got)
		}
		if got := r.asks(t, cli.StatusFailed, "database", "move", "db1", "mbx1"); !strings.Contains(got,
			"portico database copy resume db1 mbx1") {
			t.Errorf("move: %s", got)
		}
		r.signals <- syscall.SIGTERM
		r.stopped(t)
		r = w.serve(t, file)
	}
	r.asks(t, cli.StatusFailed, "database", "copy", "resume", "db1", "mbx9")
	r.asks(t, cli.StatusFine, "database", "copy", "resume", "db1", "mbx1")
	if got := r.asks(t, cli.StatusFine, "database", "copy", "resume", "db1", "mbx1"); !strings.Contains(got,
		"not Failed") {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusFine, "database", "rebalance"); !strings.Contains(got, "moved to mbx1") {
		t.Errorf("rebalance: %s", got)
	}
}

// Of an interchangeable database the copies that are not active are looked at too: one that cannot be read becomes
// Failed, and one that can is so no longer.
func TestCopiesAreLookedAt(t *testing.T) {
	testkit.NoLeaks(t)
	w := newMemorySite(t)
	file := w.config(t, calmTimings+"  recovery: {mode: off}\n")
	w.replace(t, "{db1: {copies: [mbx1]}", "{db1: {copies: [mbx1, mbx2], interchangeable: true}")
	r := w.serve(t, file)
	const probe = "IMAP.Protocol/ImapCopyTestProbe"
	if got := r.asks(t, cli.StatusFine, "probe", "list"); !strings.Contains(got, "db1@mbx2") ||
		strings.Contains(got, "db2@") {
		t.Errorf("probes:\n%s", got)
	}
	for _, p := range r.monitoring.engine.Probes() {
		if p.Name == "ImapCopyTestProbe" && p.Interval != 10*r.current().config.Health.DeepTest.Interval {
			t.Errorf("%s runs each %v", p.ID(), p.Interval)
		}
	}
	r.asks(t, cli.StatusFine, "override", "add", probe, "--property", "RecurrenceIntervalSeconds", "--value", "1")
	w.valves[1].turn(fault{hangsUpOn: opens})
	r.eventually(t, "mbx2's copy is Failed", func() bool { return r.copyStatus(t, "db1", "mbx2") == "Failed" })
	r.logged(t, "copy of a database is Failed")
	w.valves[1].set(fault{})
	r.eventually(t, "mbx2's copy is Healthy", func() bool { return r.copyStatus(t, "db1", "mbx2") == "Healthy" })
	r.logged(t, "a probe has read a mailbox on it")
	if got := r.copyStatus(t, "db1", "mbx1"); got != "Mounted" {
		t.Errorf("the active copy is %s", got)
	}
}
