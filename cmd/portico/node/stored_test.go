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
		entry, _ := r.store.disk.Get(t.Context(), key) // none is revision 0
		if _, err := r.store.disk.CompareAndSet(t.Context(), key, entry.Revision, []byte("{")); err != nil {
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
	if got := r.asks(t, cli.StatusFailed, "maintenance", "stop", "mbx2"); !strings.Contains(got,
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
