package catalogue

import "testing"

func TestCanonical(t *testing.T) {
	for identity, want := range map[string]string{
		"ImapTestDeepMonitor":                   "ImapDeepTestMonitor",
		"imaptestdeepprobe":                     "ImapDeepTestProbe",
		`IMAP.Protocol\ImapTestDeepMonitor\db1`: "IMAP.Protocol/ImapDeepTestMonitor/db1",
		"IMAP.Protocol/ImapTestSelfProbe/mbx1":  "IMAP.Protocol/ImapSelfTestProbe/mbx1",
		"IMAP.Proxy/ImapTestProxyMonitor":       "IMAP.Proxy/ImapProxyTestMonitor",
		"S/ImapCTPMonitor/ImapTestDeepMonitor":  "S/ImapCTPMonitor/ImapTestDeepMonitor",
		"imap.protocol/imapdeeptestmonitor":     "imap.protocol/imapdeeptestmonitor",
		"":                                      "",
	} {
		if got := Canonical(identity); got != want {
			t.Errorf("%s is %s", identity, got)
		}
	}
}
