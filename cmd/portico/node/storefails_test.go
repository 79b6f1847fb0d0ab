package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// A store that cannot be written is Portico's own fault: a monitor, a metric, an alert and a line of /readyz say so.
// Clients are served, a change is refused, and all is well again once the disk is.
func TestStoreThatCannotBeWritten(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, "health: {escalate: {gather: 1s}}\n"))
	socket := " --admin " + filepath.Join(site.dir, "admin.sock")
	becomes := func(args string, status int, words string) {
		t.Helper()
		testkit.Eventually(t, args+" says "+words, func() bool {
			got, out, errs := command(strings.Fields(args + socket)...)
			return got == status && strings.Contains(strings.Join(strings.Fields(out+errs), " "), words)
		})
	}
	metric := func(want string) {
		t.Helper()
		if _, text := r.get(t, "/metrics"); !strings.Contains(text, want+"\n") {
			t.Errorf("the metrics do not have %q", want)
		}
	}
	wantCommand(t, "override add Portico/PorticoStoreCheck --property RecurrenceIntervalSeconds --value 1"+socket,
		cli.StatusFine, "")
	becomes("health get PorticoStoreMonitor", cli.StatusFine, "Healthy")
	metric("portico_store_failing 0")

	data := filepath.Join(site.dir, "data")
	if err := os.Rename(data, data+".away"); err != nil {
		t.Fatal(err)
	}
	becomes("health get PorticoStoreMonitor -o list", cli.StatusBad, "Dependency : Portico")
	wantCommand(t, "service status"+socket, cli.StatusFine, "store: "+data)
	wantCommand(t, "settings set banner=lost"+socket, cli.StatusFailed, "no such file")
	metric("portico_store_failing 1")
	if status, text := r.get(t, "/readyz"); status != 200 || !strings.Contains(text, "ready\n") ||
		!strings.Contains(text, "portico.db cannot be written") {
		t.Errorf("/readyz: %d %s", status, text)
	}
	c := testkit.Dial(t, r.clients.listeners.addresses()[0].String(), nil)
	c.Expect("* OK *")
	c.Close()

	if err := os.Rename(data+".away", data); err != nil {
		t.Fatal(err)
	}
	becomes("health get PorticoStoreMonitor", cli.StatusFine, "Healthy")
	metric("portico_store_failing 0")
	wantCommand(t, "settings set banner=kept"+socket, cli.StatusFine, "kept")
}

// An error that lasts has one line a minute, whatever numbers it has, and hides no other.
func TestReportedErrorsAreBounded(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	r := site.serve(t, site.write(t, ""))
	for i := range 100 {
		r.service.log.report("recovery", fmt.Errorf("keep a ladder: portico.db.%d.new: no space", i))
	}
	r.service.log.report("recovery", errors.New("another"))
	r.logged(t, "another")
	if text := r.log.String(); strings.Count(text, "no space") != 1 {
		t.Errorf("the log has %d lines of one error", strings.Count(text, "no space"))
	}
}
