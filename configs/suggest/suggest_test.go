package suggest

import "testing"

// Only a misspelling is answered with a name: following a wrong one does harm.
func TestNearestIsNear(t *testing.T) {
	for _, c := range []struct {
		word  string
		known []string
		want  string
	}{
		{"fecth", []string{"append", "fetch"}, "fetch"}, {"FETSH", []string{"fetch"}, "fetch"}, {"gett", []string{"get", "set"}, "get"},
		{"unlock", []string{"kick", "move", "where"}, ""}, {"list", []string{"kick", "move"}, ""}, {"status", []string{"store", "session"}, ""},
		{"kick", []string{"check", "component"}, ""}, {"alert", []string{"test"}, ""}, {"mbx9", []string{"mbx1", "mbx2"}, ""}, {"DB1", []string{"db1"}, "db1"},
		{"IMAP.Protocol/ImapSelfTestMonitor/mbx1", []string{"IMAP.Protocol/ImapSelfTestProbe/mbx1"}, ""},
		{"IMAP.Protocol/ImapSelfTestMonitor/mbx9", []string{"IMAP.Protocol/ImapSelfTestMonitor/mbx1"}, ""},
		{"IMAP.Protocol/ImapSelfTestMointor/mbx1", []string{"IMAP.Protocol/ImapSelfTestMonitor/mbx1"}, "IMAP.Protocol/ImapSelfTestMonitor/mbx1"},
	} {
		if got := Nearest(c.word, c.known); got != c.want {
			t.Errorf("%s: %q, want %q", c.word, got, c.want)
		}
	}
}
