package node

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// What a change prints is what has changed: a flag that a Disabled monitor does not show, a time that nothing ends at,
// and who keeps a component Inactive.
func TestComponentAndRepairingSayWhatHasChanged(t *testing.T) {
	testkit.NoLeaks(t)
	_, r := operated(t)
	r.settled(t)
	said(t, cli.StatusFine, "override add IMAP.Protocol/ImapSelfTestMonitor/mbx1 --property Enabled --value 0")
	const repairing = "health repairing IMAP.Protocol/ImapSelfTestMonitor/mbx1"
	wantSaid(t, cli.StatusFine, repairing, "Disabled, repairing on")
	wantSaid(t, cli.StatusFine, repairing, "nothing has changed")
	if got := said(t, cli.StatusFine, repairing+" --off"); strings.Contains(got, "nothing has changed") {
		t.Error(got)
	}
	wantSaid(t, cli.StatusFailed, "health repairing IMAP/AverageCommandProcessingTimeGt60sMonitor",
		"add one, as in IMAP/AverageCommandProcessingTimeGt60sMonitor/mbx1; the targets are mbx1, mbx2")
	const set = "component set ImapProxy --requester Maintenance --state "
	for _, line := range []string{set + "Inactive --duration 0", set + "Inactive --duration -1h",
		"override add IMAP/ImapCTPMonitor --property MonitoringThreshold --value 6 --duration 0s"} {
		wantSaid(t, cli.StatusFailed, line, "is not in the future")
	}
	wantSaid(t, cli.StatusFailed, set+"active --duration 2h", "--duration needs --state Inactive")
	said(t, cli.StatusFine, "component set ImapProxy --requester Functional --state Inactive")
	said(t, cli.StatusFine, set+"Inactive")
	wantSaid(t, cli.StatusBad, set+"Active", "Inactive: Inactive by Functional since "+time.Now().UTC().Format("2006"))
	wantSaid(t, cli.StatusFine, "component set ImapProxy --requester Functional --state active", "Active")
}

// No command takes a user and password in an address, or shows them; whichever flag or name they were typed for.
func TestNoAddressWithAPassword(t *testing.T) {
	testkit.NoLeaks(t)
	w, r := operated(t)
	r.settled(t)
	password := filepath.Join(w.dir, "health.password")
	signIn := []string{"--users", "u", "--password-file", password}
	run := slices.Concat([]string{"bench", "run", "--target", "127.0.0.1:1"}, signIn)
	for _, address := range []string{"ann:sesame@127.0.0.1:1", "imaps://ann:ses@me@127.0.0.1:1",
		"http://ann:sesame@h"} {
		refused := func(words string, args ...string) {
			t.Helper()
			status, out, errs := command(args...)
			all := out + errs
			if status != cli.StatusFailed || !strings.Contains(all, words) || strings.Contains(all, "sesame") ||
				strings.Contains(all, "me@") || strings.Contains(all, "ann:") {
				t.Errorf("%s: status %d: %s", strings.Join(args, " "), status, all)
			}
		}
		refused("user part", "probe", "run", "IMAP/ImapCTPProbe", "--account", "u", "--password-file", password,
			"--endpoint", address)
		for _, verb := range []string{"run", "clean"} {
			refused("user part", slices.Concat([]string{"bench", verb, "--target", address}, signIn)...)
		}
		for _, flag := range []string{"--source", "--metrics", "--tls implicit --server-name"} {
			refused("user part", slices.Concat(run, strings.Fields(flag), []string{address})...)
		}
		refused("user part", "bench", "sink", "--listen", address)
		refused("user part", "test", "imap", address, "--user", "u", "--password-file", password)
		refused("user part", "test", "imap", "127.0.0.1:1", "--server-name", address, "--user", "u", "--password-file",
			password)
		for _, line := range []string{"session list --ip", "log on --ip", "user kick --ip", "penalty list --ip"} {
			refused("neither an address nor a network", append(strings.Fields(line), address)...)
		}
		for _, line := range []string{"session list --server", "health get --node", "health get --server",
			"server block", "server pause --for 10s", "maintenance start", "service restart", "database move db1",
			"log tail --server", "component get --node", "settings get --server"} {
			refused("", append(strings.Fields(line), address)...)
		}
	}
	t.Setenv("PORTICO_ADMIN", "http://ann:sesame@127.0.0.1:1/")
	if got := said(t, cli.StatusFailed, "demo break mbx1"); strings.Contains(got, "sesame") {
		t.Error(got)
	}
}

// An address that an operator gives is not shown with its password.
func TestAddressesWithoutPasswords(t *testing.T) {
	for _, address := range []string{"user:secret@127.0.0.1:8143", "user:se@cret@mx1:8143", "user:secret@mx1",
		"http://user:secret@127.0.0.1:1/", "ftp://user:secret@127.0.0.1", "user:secret@mx1/path"} {
		for _, words := range []string{"health report", "store check", "store backup /tmp/portico.copy"} {
			status, out, errs := command(append(strings.Fields(words), "--admin", address)...)
			if all := out + errs; status != cli.StatusFailed || strings.Contains(all, "cret") {
				t.Errorf("%s --admin %s: status %d: %s", words, address, status, all)
			}
		}
	}
}
