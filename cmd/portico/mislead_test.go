package main

import (
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// What a change prints is what has changed: a flag that a Disabled monitor does not show, a time that nothing ends at,
// and who keeps a component Inactive.
func TestComponentAndRepairingSayWhatHasChanged(t *testing.T) {
	testkit.NoLeaks(t)
	_, r := operated(t)
	r.settled(t)
	said(t, statusFine, "override add IMAP.Protocol/ImapSelfTestMonitor/mbx1 --property Enabled --value 0")
	const repairing = "health repairing IMAP.Protocol/ImapSelfTestMonitor/mbx1"
	wantSaid(t, statusFine, repairing, "Disabled, repairing on")
	wantSaid(t, statusFine, repairing, "nothing has changed")
	if got := said(t, statusFine, repairing+" --off"); strings.Contains(got, "nothing has changed") {
		t.Error(got)
	}
	wantSaid(t, statusFailed, "health repairing IMAP/AverageCommandProcessingTimeGt60sMonitor",
		"add the target, as in IMAP/AverageCommandProcessingTimeGt60sMonitor/mbx1; the targets are mbx1, mbx2")
	const set = "component set ImapProxy --requester Maintenance --state "
	for _, line := range []string{set + "Inactive --duration 0", set + "Inactive --duration -1h",
		"override add IMAP/ImapCTPMonitor --property MonitoringThreshold --value 6 --duration 0s"} {
		wantSaid(t, statusFailed, line, "is over already")
	}
	wantSaid(t, statusFailed, set+"active --duration 2h", "--duration is for Inactive")
	said(t, statusFine, "component set ImapProxy --requester Functional --state Inactive")
	said(t, statusFine, set+"Inactive")
	wantSaid(t, statusBad, set+"Active", "Inactive: Inactive by Functional since "+time.Now().UTC().Format("2006"))
	wantSaid(t, statusFine, "component set ImapProxy --requester Functional --state active", "Active")
}

// An address that an operator gives is not shown with its password.
func TestAddressesWithoutPasswords(t *testing.T) {
	for _, address := range []string{"user:secret@127.0.0.1:8143", "user:se@cret@mx1:8143", "user:secret@mx1",
		"http://user:secret@127.0.0.1:1/", "ftp://user:secret@127.0.0.1", "user:secret@mx1/path"} {
		for _, words := range []string{"health report", "store check", "store backup /tmp/portico.copy"} {
			status, out, errs := command(append(strings.Fields(words), "--admin", address)...)
			if all := out + errs; status != statusFailed || strings.Contains(all, "cret") {
				t.Errorf("%s --admin %s: status %d: %s", words, address, status, all)
			}
		}
	}
}
