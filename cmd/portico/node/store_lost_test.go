package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portico/cmd/portico/cli"
	"portico/configs/store"
)

// A restore that loses which copy is active says so, and lets nobody in before an operator has said which it is.
func TestRestoreLosesActiveCopy(t *testing.T) {
	site := newTwoServers(t)
	file := filepath.Join(site.dir, "portico.yaml")
	r := site.site.serve(t, file)
	r.logged(t, "daily copy of the store made")
	r.asks(t, cli.StatusFine, "database", "move", "db1", "mbx2")
	r.asks(t, cli.StatusFine, "server", "block", "mbx1")
	r.asks(t, cli.StatusFine, "store", "backup")
	r.signals <- os.Interrupt
	r.stopped(t)
	path := filepath.Join(site.dir, "data", store.FileName)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := strings.Replace(string(text), `"active/db1" "mbx2"`, `"active/db1" "mbx1"`, 1)
	damaged = strings.Replace(damaged, `"blocked/mbx1" "`, `"blocked/mbx1" "x`, 1)
	if damaged == string(text) {
		t.Fatalf("not found in\n%s", text)
	}
	site.put(t, filepath.Join("data", store.FileName), damaged)
	status, out, errs := command("store", "restore", "-c", file, "--partial", path)
	for _, want := range []string{"LOST active/db1: no user is admitted to db1", "by-hand.db has mbx2",
		"LOST blocked/mbx1: databases may be activated"} {
		if status != cli.StatusBad || !strings.Contains(out, want) {
			t.Errorf("status %d, no %q in\n%s%s", status, want, out, errs)
		}
	}
	if strings.Contains(out, "no entry has changed") {
		t.Error(out)
	}
	r = site.site.serve(t, file)
	if got := r.asks(t, cli.StatusBad, "database", "status"); strings.Count(got, "FailedAndSuspended") != 2 {
		t.Errorf("status:\n%s", got)
	}
	if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a NO [UNAVAILABLE] ") {
		t.Error(got)
	}
	r.asks(t, cli.StatusFine, "database", "move", "db1", "mbx2")
	if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a OK ") {
		t.Error(got)
	}
}
