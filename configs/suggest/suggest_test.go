package suggest

import "testing"

// Only a misspelling is answered with a name: following a wrong one does harm.
func TestNearestIsNear(t *testing.T) {
	for _, c := range []struct {
		word  string
		known []string
		want  string
	}{
		{"fecth", []string{"append", "fetch"}, "fetch"}, {"FETSH", []string{"fetch"}, "fetch"},
		{"gett", []string{"get", "set"}, "get"},
		{"unlock", []string{"kick", "move", "where"}, ""}, {"list", []string{"kick", "move"}, ""},
		{"status", []string{"store", "session"}, ""},
		{"kick", []string{"check", "component"}, ""}, {"alert", []string{"test"}, ""},
		{"Foo", []string{"For", "From"}, ""}, {"set", []string{"get"}, ""}, {"fro", []string{"for"}, "for"},
		{"gte", []string{"get"}, "get"}, {"gt", []string{"get"}, "get"}, {"id", []string{"ip"}, ""},
		{"lisr", []string{"list"}, "list"}, {"usr", []string{"user"}, "user"},
		{"Version", []string{"Session"}, ""}, {"parser", []string{"Paused"}, ""},
		{"sesions", []string{"session"}, "session"}, {"maintainance", []string{"maintenance"}, "maintenance"},
		{"mbx9", []string{"mbx1", "mbx2"}, ""}, {"DB1", []string{"db1"}, "db1"},
		{"IMAP.Protocol/ImapSelfTestMonitor/mbx1", []string{"IMAP.Protocol/ImapSelfTestProbe/mbx1"}, ""},
		{"IMAP.Protocol/ImapSelfTestMonitor/mbx9", []string{"IMAP.Protocol/ImapSelfTestMonitor/mbx1"}, ""},
		{"IMAP.Protocol/ImapSelfTestMointor/mbx1", []string{"IMAP.Protocol/ImapSelfTestMonitor/mbx1"},
			"IMAP.Protocol/ImapSelfTestMonitor/mbx1"},
	} {
		if got := Nearest(c.word, c.known); got != c.want {
			t.Errorf("%s: %q, want %q", c.word, got, c.want)
		}
	}
}

// A name that nothing has is answered with what may have been meant: a misspelling, a part of a longer name, or what
// there is in its place.
func TestNoSuchSaysWhatThereIs(t *testing.T) {
	probes := []string{"IMAP/ImapCTPProbe/db1", "IMAP.Protocol/ImapDeepTestProbe/db1",
		"IMAP.Protocol/ImapDeepTestProbe/db2", "IMAP.Protocol/ImapSelfTestProbe/mbx1",
		"IMAP.Protocol/ImapSelfTestProbe/mbx2", "IMAP.Proxy/ImapProxyTestProbe", "a", "b", "c"}
	for name, want := range map[string]string{
		"IMAP.Protocol/ImapDeepTestProbe/db9": "; known: IMAP.Protocol/ImapDeepTestProbe/db1, " +
			"IMAP.Protocol/ImapDeepTestProbe/db2",
		"ImapDeepTestProbe/db9": "; known: IMAP.Protocol/ImapDeepTestProbe/db1, " +
			"IMAP.Protocol/ImapDeepTestProbe/db2",
		"ImapSelfTestProbe/mbx1": "; did you mean IMAP.Protocol/ImapSelfTestProbe/mbx1?",
		"imapproxytestprobe":     "; did you mean IMAP.Proxy/ImapProxyTestProbe?",
		"IMAP/ImapCTPProb/db1":   "; did you mean IMAP/ImapCTPProbe/db1?",
		"nothing":                "",
	} {
		if got := NoSuch("probe", name, probes); got != `there is no probe "`+name+`"`+want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := NoSuch("database", "db9", []string{"db1", "db2"}); got != `there is no database "db9"; known: db1, db2` {
		t.Error(got)
	}
}
