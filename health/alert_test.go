package health

import (
	"strings"
	"testing"
	"time"
)

// An alert's text says what is at fault, since when and until when, at which mailbox server, what was tried, and what
// to look at; and leaves out what is not known.
func TestAlertText(t *testing.T) {
	a := Alert{
		Cause: "Networking of mbx1", Mailbox: "mbx1", Since: time.Unix(1e9, 0), Error: "refused",
		Bundle: "/data/b.tar",
		Tried:  []string{"RestartService", "ServerFailover"},
		Monitors: []string{"IMAP.Protocol/ImapSelfTestMonitor/mbx1", "IMAP.Proxy/ImapProxyTestMonitor",
			"IMAP/RequestsQueuedGt500Monitor/mbx1"},
	}
	const begin = `IMAP: Networking of mbx1 is at fault: ` +
		`IMAP.Protocol/ImapSelfTestMonitor/mbx1, IMAP.Proxy/ImapProxyTestMonitor, IMAP/RequestsQueuedGt500Monitor/mbx1

Since: 2001-09-09T01:46:40Z
_Mbx:mbx1
Error: refused
Diagnostic bundle: /data/b.tar

Recovery actions so far:
  RestartService
  ServerFailover

To see the fault and the recovery log, run:
  portico health recovery
  portico probe run IMAP.Protocol/ImapSelfTestProbe/mbx1 -o list
  portico probe run IMAP.Proxy/ImapProxyTestProbe -o list
  portico health get RequestsQueuedGt500Monitor -o list
`
	if got := a.Message(); got != begin {
		t.Errorf("it says\n%s\nwanted\n%s", got, begin)
	}
	if a.Severity() != "critical" || !a.Lasts() {
		t.Errorf("%s, lasts: %v", a.Severity(), a.Lasts())
	}
	a.Ended = time.Unix(1e9+60, 0)
	if got := a.Message(); !strings.Contains(got, "\nUntil: 2001-09-09T01:47:40Z\n_Mbx:mbx1\n") || a.Lasts() {
		t.Errorf("when it is over it says\n%s", got)
	}
	notice := Alert{Cause: "db1 has moved", Since: time.Unix(1e9, 0), Notice: true}
	const short = "IMAP: db1 has moved\n\nSince: 2001-09-09T01:46:40Z\n\nTo see the fault and the recovery " +
		"log, run:\n  " +
		"portico health recovery\n"
	if got := notice.Message(); got != short {
		t.Errorf("a notice says\n%s", got)
	}
	if notice.Severity() != "info" || notice.Lasts() {
		t.Errorf("a notice is %s, lasts: %v", notice.Severity(), notice.Lasts())
	}
}
