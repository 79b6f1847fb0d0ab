package cli

import (
	"testing"
)

// Patterns of arguments and of --where mean the same: * is any characters, also those that stand between the parts of
// a name.
func TestPatternsOfArguments(t *testing.T) {
	for _, c := range []struct {
		pattern string
		want    bool
	}{
		{"IMAP*", true}, {"imap.protocol*mbx1", true}, {"*Monitor/mbx1", true}, {"*deep*", false}, {"imap", false},
		{"IMAP?Protocol/ImapSelfTestMonitor/*", true},
	} {
		if got := fitsAny(c.pattern, "IMAP.Protocol/ImapSelfTestMonitor/mbx1"); got != c.want {
			t.Errorf("%s: %v", c.pattern, got)
		}
	}
}
