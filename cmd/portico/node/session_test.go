package node

import (
	"encoding/json"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/health/admin"
)

// A server that does not answer: while a command waits, session list says for how long; when the client has given up,
// session slow has it.
func TestSlowCommand(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveSilence(t)
	r := site.serve(t, site.write(t, ""))
	if got := site.portico(t, 0, "session", "slow"); strings.Count(got, "\n") != 2 {
		t.Errorf("before anything was slow:\n%s", got)
	}
	client := r.signIn(t)
	client.Send("b UID FETCH 1:* FLAGS")
	testkit.Eventually(t, "that the command waits", func() bool {
		var all []admin.SessionState
		if err := json.Unmarshal([]byte(site.portico(t, 0, "session", "list", "-o", "json")), &all); err != nil {
			t.Fatal(err)
		}
		return len(all) == 1 && all[0].Oldest > 0.1
	})
	site.portico(t, 0, "user", "kick", "alice")
	for _, test := range []struct {
		flags []string
		lines int
	}{
		{nil, 2},
		{[]string{"--command", "uid fetch", "--server", "mbx1", "--user", "alice", "--from", "1h"}, 2},
		{[]string{"--command", "FETCH"}, 2}, // UID FETCH too
		{[]string{"--command", "NOOP"}, 1},
		{[]string{"--user", "bob"}, 1},
		{[]string{"--from", "2h", "--until", "1h"}, 1}, // besides (none)
	} {
		got := site.portico(t, 0, append([]string{"session", "slow"}, test.flags...)...)
		notes := strings.Count(got, "cannot check whether user") + strings.Count(got, "(none)")
		if strings.Count(got, "\n")-notes != test.lines ||
			test.lines == 2 && !strings.Contains(got, "UID FETCH  aborted  alice") {
			t.Errorf("%q:\n%s", test.flags, got)
		}
	}
	if got := site.portico(t, 2, "session", "slow", "--server", "mbx2"); !strings.Contains(got,
		`no mailbox server "mbx2"`) {
		t.Errorf("no server:\n%s", got)
	}
	if got := site.portico(t, 2, "session", "slow", "--from", "three"); !strings.Contains(got,
		`--from: "three" is not a time`) {
		t.Errorf("no time:\n%s", got)
	}
}
