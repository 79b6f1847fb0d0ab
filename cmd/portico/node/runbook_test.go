package node

import (
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// The runbooks of commands show all that concerns the mailbox server, restart its service, and move its databases
// away. The machine is restarted only if that has not helped.
func TestRunbooksOfCommands(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	service, restarts := w.hook(t, "restart-service", "")
	machine, reboots := w.hook(t, "restart-server", "")
	file := w.config(t, healthTimings+"  requests_queued: 2\n  recovery: {mode: \"off\", restart_service: "+service+
		", restart_server: "+machine+"}\n")
	w.replace(t, "{db1: {copies: [mbx1]}", "{db1: {copies: [mbx1, mbx2]}")
	r := w.serve(t, file)
	r.settled(t)
	r.asks(t, cli.StatusFine, "override", "add", "IMAP/RequestsQueuedGt500Check", "--property",
		"RecurrenceIntervalSeconds", "--value", "1")
	r.asks(t, cli.StatusFine, "override", "add", "IMAP/RequestsQueuedGt500Monitor", "--item-type", "Monitor",
		"--property",
		"MonitoringThreshold", "--value", "1")
	if got := r.asks(t, cli.StatusFine, "runbook", "average", "mbx1"); !strings.Contains(got,
		"AverageCommandProcessingTimeGt60sMonitor mbx1") {
		t.Error(got)
	}
	w.valves[0].set(fault{deafTo: "NOOP"})
	r.settled(t)
	waiting := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
	waiting.Expect("* OK *")
	waiting.Command("a", "LOGIN health1 probe-it")
	for _, tag := range []string{"b", "c", "d"} {
		waiting.Send(tag + " NOOP")
	}
	r.eventually(t, "requests are queued",
		func() bool { return r.monitors(t)["RequestsQueuedGt500Monitor/mbx1"].AlertValue == "Degraded" })
	got := r.asks(t, cli.StatusFine, "runbook", "queue", "mbx1", "--auto", "--wait", "4s")
	for _, words := range []string{
		"  IMAP.Protocol/ImapDeepTestMonitor/db1 is Healthy", "  IMAP/ImapCTPMonitor/db1 is Healthy",
		"They are healthy.",
		"Succeeded: the hook has run", "db1 moved to mbx2", "Recovered.",
	} {
		if !strings.Contains(got, words) {
			t.Errorf("no %q in\n%s", words, got)
		}
	}
	if strings.Contains(got, "/db2 is") {
		t.Errorf("it shows another server's monitors:\n%s", got)
	}
	if restarts() != "restart mbx1" || reboots() != "" {
		t.Errorf("the hooks were told %q, %q", restarts(), reboots())
	}
}
