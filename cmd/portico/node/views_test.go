package node

import (
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// What an admin who knows Exchange looks for is where it is looked for.
func TestViews(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	file := w.config(t, healthTimings)
	w.replace(t, "{db1: {copies: [mbx1]}", "{db1: {copies: [mbx1, mbx2]}")
	r := w.serve(t, file)
	r.settled(t)
	for _, view := range []struct {
		asked  string
		status int
		with   string // words that are there, with | between
		out    string // words that are not, the same
	}{
		// All that concerns a mailbox server, its databases' monitors too.
		{"health get --server mbx2", cli.StatusFine,
			"ImapSelfTestMonitor|mbx2|ImapDeepTestMonitor|ImapCTPMonitor|db2|RequestsQueuedGt500Monitor",
			"mbx1|db1|ImapProxyTestMonitor"},
		{"health get IMAP* --server mbx2", cli.StatusFine, "ImapDeepTestMonitor", "mbx1"},
		{"health get --where MailboxServer_-eq_mbx1", cli.StatusFine, "db1|mbx1", "db2|mbx2"},
		{"health get ImapDeepTestMonitor -o list", cli.StatusFine,
			"LastExecutionTime|FirstAlertObservedTime|MailboxServer", "SelfTest"},
		{"health get --server mbx9", cli.StatusFailed, "mbx9", ""},
		{"database status --server mbx1", cli.StatusFine, "db1 mbx1 Mounted", "mbx2|db2"},
		{"database status --server mbx2 --group-by status", cli.StatusFine, "1 Healthy|1 Mounted", "2"},
		{"health report -o list", cli.StatusFine,
			"Customer Touch Points|Server Resources|ImapDeepTestMonitor/db1=Healthy|ImapProxyTestMonitor=Healthy", ""},
		{"health report -o json", cli.StatusFine, "\"monitors\": [|\"health_group\": \"Service Components\"", ""},
		{"health report --rollup-group", cli.StatusFine, "IMAP.Protocol Healthy|100", "Degraded"},
		{"probe list IMAP.Protocol", cli.StatusFine, "ImapSelfTestProbe/mbx1|ImapDeepTestProbe/db2", "IMAP/"},
		{"probe list --server mbx1", cli.StatusFine, "ImapSelfTestProbe/mbx1|ImapDeepTestProbe/db1|ImapCTPProbe/db1",
			"mbx2|db2|ImapProxyTestProbe"},
		{"probe list ImapDeepTestProbe --failed", cli.StatusFine, "", "db1"},
		{"probe list ImapNoProbe", cli.StatusFailed, `there is no probe "ImapNoProbe"`, ""},
		{"probe run IMAP.Protocol/ImapDeepTestProbe/db1 --property-override Write=0,TimeoutSeconds=30 -o list",
			cli.StatusFine, "Account : health1", "append"},
		{"probe run IMAP.Protocol/ImapDeepTestProbe/db1 -o list", cli.StatusFine, "append", ""},
		{"probe run IMAP.Protocol/ImapDeepTestProbe/db1 --property-override Interval=1", cli.StatusFailed,
			"TimeoutSeconds, Write", ""},
		{"probe history IMAP.Protocol/ImapDeepTestProbe/db1 -o list", cli.StatusFine,
			"Account : health1|ByHand : yes", "db2"},
		{"probe history ImapDeepTestProbe --failed", cli.StatusFine, "ResultType", "Succeeded"},
		{"probe history IMAP/ImapNoProbe", cli.StatusFailed, "there is no probe", ""},
		{"health items IMAP.Protocol", cli.StatusFine, "ImapDeepTestProbe/db1 Probe|ImapSelfTestFailover|Responder",
			"IMAP/"},
		{"health items IMAP --item-type Monitor", cli.StatusFine, "ImapCTPMonitor", "Probe|Responder"},
		{"health items IMAP/ImapNothing", cli.StatusFailed, "there is no item", ""},
		{"health explain IMAP.Protocol/ImapDeepTestMonitor/db1", cli.StatusFine,
			"SampleMask=ImapDeepTestProbe, MonitoringThreshold=2|Help : Unhealthy if a database's mail", ""},
		{"health explain IMAP.Protocol/ImapDeepTestFailover/db1", cli.StatusFine,
			"AlertMask=ImapDeepTestMonitor, Step=2|Moves the databases", ""},
		{"server block mbx2", cli.StatusFine, "", ""},
		{"server list", cli.StatusFine, "by operator user ", "by health"},
		{"server unblock mbx2", cli.StatusFine, "", ""},
		{"component set ServerWideOffline --state Inactive --requester Functional", cli.StatusFine, "", ""},
		{"component get ImapProxy", cli.StatusBad,
			"Inactive by Functional since|(ServerWideOffline, set by operator user ", ""},
		{"component set ServerWideOffline --state Active --requester Functional", cli.StatusFine, "", ""},
		{"settings get LogFileLocation", cli.StatusFine, w.dir + "/data/protocol-log", ""},
		{"config diff", cli.StatusFine, "", "log_file_location"},
	} {
		args := strings.Fields(view.asked)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "_-", " -")
			args[i] = strings.ReplaceAll(args[i], "eq_", "eq ")
		}
		got := strings.Join(strings.Fields(r.asks(t, view.status, args...)), " ") // whatever the width of columns
		for words := range strings.SplitSeq(view.with, "|") {
			if !strings.Contains(got, words) {
				t.Errorf("portico %s: no %q in\n%s", view.asked, words, got)
			}
		}
		for words := range strings.SplitSeq(view.out, "|") {
			if words != "" && strings.Contains(got, words) {
				t.Errorf("portico %s: %q in\n%s", view.asked, words, got)
			}
		}
	}
}
