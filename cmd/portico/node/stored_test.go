package node

import (
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health/catalogue"
)

const selfTestOfMbx2 = catalogue.SetProtocol + "/" + catalogue.ImapSelfTestMonitor + "/mbx2"

// What a node has stored and cannot read any more keeps it neither from starting nor from storing the same again.
func TestUnreadableStoredValues(t *testing.T) {
	testkit.NoLeaks(t)
	site := newTwoServers(t)
	r := site.site.serve(t, site.dir+"/portico.yaml")
	for _, key := range []string{"health/alerts", "health/flapping", "health/components/damaged",
		"health/overrides/damaged", "protocol_log/rules/damaged", "maintenance/mbx2",
		"health/repairing/" + selfTestOfMbx2, "policy/mbx1", "failed/db1/mbx2", "offer/mbx1"} {
		entry, _ := r.store.site.Get(t.Context(), key) // none is revision 0
		if _, err := r.store.site.CompareAndSet(t.Context(), key, entry.Revision, []byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	r.signals <- syscall.SIGTERM
	r.stopped(t)
	r = site.site.serve(t, site.dir+"/portico.yaml")
	for _, line := range []string{"open alerts lost", "flapping of monitors", "stored state of a component not usable",
		"stored override not usable", "stored protocol log rule not usable",
		"stored maintenance of a server not usable", "stored mark Repairing not usable",
		"stored state of databases and mailbox servers not usable"} {
		r.logged(t, line)
	}
	if got := r.asks(t, cli.StatusFine, "maintenance", "stop", "mbx2"); !strings.Contains(got,
		"is not in maintenance") {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusFine, "health", "repairing", selfTestOfMbx2); !strings.Contains(got, "Repairing") {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusFine, "database", "status"); !strings.Contains(got, "cannot be read") {
		t.Errorf("a copy whose state cannot be read is not Failed:\n%s", got)
	}
	r.asks(t, cli.StatusFine, "database", "copy", "resume", "db1", "mbx2")
	r.asks(t, cli.StatusFine, "server", "policy", "mbx1", "Unrestricted")
	r.asks(t, cli.StatusFine, "maintenance", "start", "mbx2")
	r.asks(t, cli.StatusFine, "maintenance", "stop", "mbx2")
}

// Settings that cannot be read are not taken for none, since the file's may be weaker: those in force stay, and no node
// starts, until somebody resets them or restores the store.
func TestUnreadableSettings(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	file := site.write(t, "")
	r := site.serve(t, file)
	damage := func() {
		t.Helper()
		entry, _ := r.store.site.Get(t.Context(), "settings") // none is revision 0
		if _, err := r.store.site.CompareAndSet(t.Context(), "settings", entry.Revision, []byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	r.asks(t, cli.StatusFine, "settings", "set", "banner=Hello")
	damage()
	r.logged(t, "stored settings not in force")
	if got := r.asks(t, cli.StatusFailed, "settings", "set", "banner=Welcome"); !strings.Contains(got,
		"portico settings reset --all") {
		t.Error(got)
	}
	if r.current().config.Settings.Banner != "Hello" {
		t.Errorf("the banner is %q", r.current().config.Settings.Banner)
	}
	r.asks(t, cli.StatusFine, "settings", "reset", "--all")
	if r.current().config.Settings.Banner != r.current().fromFile.Settings.Banner {
		t.Errorf("after a reset the banner is %q", r.current().config.Settings.Banner)
	}
	damage()
	r.signals <- syscall.SIGTERM
	r.stopped(t)
	err := serve(file, r.signals, r.log, nil)
	if err == nil || !strings.Contains(err.Error(), "cannot read the changed settings: settings: ") ||
		!strings.Contains(err.Error(), "portico store restore") {
		t.Errorf("a start: %v", err)
	}
}
