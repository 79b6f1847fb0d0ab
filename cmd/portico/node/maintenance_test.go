package node

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// A mailbox server in maintenance has no active database and nobody is alerted; out again everything is as before,
// but for the databases.
func TestMaintenance(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	file := w.config(t, healthTimings)
	w.replace(t, "{db1: {copies: [mbx1]}", "{db1: {copies: [mbx1, mbx2]}")
	r := w.serve(t, file)
	r.settled(t)
	if got := r.asks(t, cli.StatusFine, "maintenance", "start", "mbx1"); !strings.Contains(got, "moved to mbx2") ||
		!strings.Contains(got, "Disabled") {
		t.Error(got)
	}
	w.valves[0].set(fault{refuse: true})
	if got := r.asks(t, cli.StatusFine, "maintenance", "status"); !strings.Contains(got, "no active database") {
		t.Error(got)
	}
	r.signals <- os.Interrupt
	r.stopped(t)
	r = w.serve(t, file) // it lasts
	r.eventually(t, "the others are healthy", func() bool {
		return r.monitors(t)[ctp1].AlertValue == "Healthy" && r.monitors(t)[self2].AlertValue == "Healthy"
	})
	r.turns(t, nil)
	if m := r.monitors(t)[self1]; m.AlertValue != "Disabled" ||
		strings.Join(r.mailbox.active.BlockedBy("mbx1"), " ") != "maintenance" ||
		r.mailbox.active.Policy("mbx1") != "Blocked" {
		t.Errorf("%+v", m)
	}
	// db2 has no other copy.
	if got := r.asks(t, cli.StatusBad, "maintenance", "start", "mbx2"); !strings.Contains(got, "kept: ") {
		t.Error(got)
	}
	r.asks(t, cli.StatusFine, "maintenance", "stop", "mbx2")
	w.valves[0].set(fault{})
	r.asks(t, cli.StatusFine, "maintenance", "stop", "mbx1")
	r.asks(t, cli.StatusFine, "maintenance", "stop", "mbx1")
	r.asks(t, cli.StatusFailed, "maintenance", "stop", "mbx9")
	r.asks(t, cli.StatusFailed, "maintenance", "start", "mbx9")
	r.settled(t)
	if r.mailbox.active.Blocked("mbx1") || r.mailbox.active.Policy("mbx1") != "" ||
		r.mailbox.activeOn("db1") != "mbx2" {
		t.Errorf("blocked by %v, policy %q", r.mailbox.active.BlockedBy("mbx1"), r.mailbox.active.Policy("mbx1"))
	}
	// This node.
	if got := r.asks(t, cli.StatusFine, "maintenance", "start", "--yes", "--drain", "0s"); !strings.Contains(got,
		"component ServerWideOffline") {
		t.Error(got)
	}
	r.asks(t, cli.StatusBad, "component", "get")
	testkit.Eventually(t, "the probes' sessions too have ended", func() bool {
		return strings.Contains(r.asks(t, cli.StatusFine, "maintenance", "status"), "0 sessions")
	})
	r.asks(t, cli.StatusFine, "maintenance", "stop")
	r.asks(t, cli.StatusFine, "component", "get")
}

// A runbook ends when the probe succeeds, and takes back what it has done; the block of a dead server is lifted when
// the server is well.
func TestRunbooks(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	service, restarts := w.hook(t, "restart-service", "")
	file := w.config(t, healthTimings+"  recovery: {mode: \"off\", restart_service: "+service+"}\n")
	w.replace(t, "{db1: {copies: [mbx1]}", "{db1: {copies: [mbx1, mbx2]}")
	r := w.serve(t, file)
	r.settled(t)
	for _, book := range [][]string{{"selftest", "mbx1"}, {"deep", "db1"}, {"proxy"}, {"ctp", "db1"},
		{"queue", "mbx1"}} {
		if got := r.asks(t, cli.StatusFine, append([]string{"runbook"}, book...)...); !strings.Contains(got,
			"No fault found: nothing to do.") {
			t.Errorf("%q: %s", book, got)
		}
	}
	r.asks(t, cli.StatusFailed, "runbook", "selftest", "mbx9")
	r.asks(t, cli.StatusFailed, "runbook", "selftest", "mbx1", "--wait", "-1s")
	w.valves[0].set(fault{refuse: true})
	r.turns(t, map[string]string{self1: "Networking", deep1: "Networking", ctp1: "Networking"})
	if got := r.asks(t, cli.StatusFailed, "runbook", "selftest", "mbx1"); !strings.Contains(got,
		"Do it? [yes, skip, quit]") || !strings.Contains(got, "there is no answer") {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusBad, "runbook", "ctp", "db1", "--auto", "--wait", "10ms"); !strings.Contains(got,
		"is unhealthy: run portico runbook") {
		t.Error(got)
	}
	if entries, err := r.store.site.List(t.Context(), "protocol_log/rules/"); err != nil || len(entries) != 0 {
		t.Errorf("the protocol log is still on: %v, %v", entries, err)
	}
	got := r.asks(t, cli.StatusFine, "runbook", "deep", "db1", "--auto", "--wait", "10ms")
	for _, words := range []string{"Throttled: throttled:", "db1 moved to mbx2", "ImapDeepTestProbe/db1: Succeeded",
		"Waiting 10ms.", "Recovered."} {
		if !strings.Contains(got, words) {
			t.Errorf("no %q in\n%s", words, got)
		}
	}
	if !r.mailbox.active.Blocked("mbx1") || restarts() != "restart mbx1" {
		t.Errorf("mbx1 is dead, and blocked by %v; %s", r.mailbox.active.BlockedBy("mbx1"), restarts())
	}
	if got := r.asks(t, cli.StatusFine, "health", "recovery"); !strings.Contains(got, "runbook deep") {
		t.Error(got)
	}
	w.valves[0].set(fault{})
	r.settled(t)
	r.eventually(t, "the block is lifted", func() bool { return !r.mailbox.active.Blocked("mbx1") })
}

// The bundle has what is known, and no secret.
func TestBundle(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	r := w.serve(t, w.config(t, healthTimings))
	r.settled(t)
	for range keptBundles + 2 {
		r.asks(t, cli.StatusFine, "health", "bundle")
	}
	where := strings.TrimSpace(r.asks(t, cli.StatusFine, "health", "bundle"))
	file, err := os.Open(where)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	names := ""
	for files := tar.NewReader(zipped); ; {
		header, err := files.Next()
		if err == io.EOF {
			break
		}
		text, err2 := io.ReadAll(files)
		if err != nil || err2 != nil || strings.Contains(string(text), "probe-it") {
			t.Fatalf("%s: %v %v", header.Name, err, err2)
		}
		names += header.Name + " "
	}
	if names != "about.json alerts.json health.json probes.json recovery.json components.json overrides.json "+
		"databases.json protocol.log " {
		t.Error(names)
	}
	if entries, _ := os.ReadDir(w.dir + "/data/bundles"); len(entries) != keptBundles {
		t.Errorf("%d are kept", len(entries))
	}
}
