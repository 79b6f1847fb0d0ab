package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health/admin"
)

// threeNodes starts three Porticos in front of one mailbox server. The first has the other two as mx2 and mx3.
func threeNodes(t *testing.T) (here, mx2, mx3 *running) {
	t.Helper()
	const token = "of-the-other-nodes"
	first := newSite(t)
	first.serveMail(t)
	nodes := ""
	var others []*running
	for _, name := range []string{"mx2", "mx3"} {
		site := newSite(t)
		site.server = first.server
		site.put(t, "token", token+"\n")
		other := site.serve(t, site.writeWithout(t, "admin",
			`admin: {socket: admin.sock, address: "[::1]:0", token_file: token}`+"\npenalties: {first: 10ms}\n"))
		nodes += fmt.Sprintf("  %s: {address: \"http://%s\", token_file: token}\n", name, other.api.address)
		others = append(others, other)
	}
	first.put(t, "token", token+"\n")
	return first.serve(t, first.write(t, "nodes:\n"+nodes)), others[0], others[1]
}

// Commands about the whole site find and end sessions wherever they are. If a node is gone, they show what the others
// have, and name it.
func TestSessionsOfThreeNodes(t *testing.T) {
	testkit.NoLeaks(t)
	here, mx2, mx3 := threeNodes(t)
	mx2.signIn(t)
	victim := mx3.signIn(t)
	list := func(status int, args ...string) (all []admin.SessionState) {
		t.Helper()
		out := here.asks(t, status, append([]string{"session", "list", "-o", "json"}, args...)...)
		if err := json.NewDecoder(strings.NewReader(out)).Decode(&all); err != nil { // notes stand behind it
			t.Fatalf("%v: %s", err, out)
		}
		return all
	}
	testkit.Eventually(t, "two sessions", func() bool { return len(list(cli.StatusFine)) == 2 })
	all := list(cli.StatusFine, "--user", "ALICE", "--sort", "-Session")
	if all[0].ID < all[1].ID || all[0].Node == all[1].Node {
		t.Errorf("%+v", all)
	}
	if only := list(cli.StatusFine, "--limit", "1"); len(only) != 1 {
		t.Errorf("%+v", only)
	}
	if only := list(cli.StatusFine, "--node", "mx2"); len(only) != 1 || only[0].Node != "" {
		t.Errorf("%+v", only)
	}
	if none := list(cli.StatusFine, "--node", nodeName()); len(none) != 0 {
		t.Errorf("%+v", none)
	}
	if got := here.asks(t, cli.StatusFine, "user", "where", "alice"); strings.Count(got, "alice  ") != 3 ||
		!strings.Contains(got, "alice  mx3") {
		t.Error(got)
	}
	of := map[string]string{all[0].Node: all[0].ID, all[1].Node: all[1].ID}
	if got := here.asks(t, cli.StatusFine, "session", "kill", of["mx3"]); !strings.Contains(got, "1 session ended.") ||
		!strings.Contains(got, of["mx3"]+"  mx3") {
		t.Error(got)
	}
	victim.Expect("* BYE Session closed by the administrator")
	if got := here.asks(t, cli.StatusFailed, "session", "kill", of["mx3"]); !strings.Contains(got, "is not open") {
		t.Error(got)
	}
	here.asks(t, cli.StatusFine, "session", "slow")
	guess := testkit.Dial(t, mx2.clients.listeners.addresses()[1].String(), mx2.trust())
	guess.Expect("* OK *")
	guess.Send("a LOGIN alice wrong")
	guess.Expect("a NO *")
	if got := here.asks(t, cli.StatusFine, "penalty", "list", "--user", "alice"); !strings.Contains(got, "  mx2 ") {
		t.Error(got)
	}
	here.asks(t, cli.StatusFine, "penalty", "clear", "--all", "--yes")
	if left := mx2.clients.server.AuthDelays(); len(left) > 0 {
		t.Errorf("%+v", left)
	}
	for _, c := range []struct{ args, held string }{{"pause mbx1 --for 1m", "held for"}, {"resume mbx1", admitted}} {
		here.asks(t, cli.StatusFine, append([]string{"server"}, strings.Fields(c.args)...)...)
		for _, r := range []*running{here, mx2, mx3} {
			if got := r.mailbox.held("mbx1"); !strings.Contains(got, c.held) {
				t.Errorf("%s: sign-ins are %s", c.args, got)
			}
		}
	}
	if got := here.asks(t, cli.StatusFine, "health", "report"); !strings.HasPrefix(got, "HealthSet") ||
		!strings.Contains(got, "  Node") {
		t.Error(got)
	}

	mx3.signals <- syscall.SIGTERM
	mx3.stopped(t)
	if left := list(cli.StatusBad); len(left) != 1 || left[0].Node != "mx2" {
		t.Errorf("%+v", left)
	}
	for _, args := range []string{"session list", "session show " + of["mx2"], "session slow", "user where alice",
		"health report", "log on --user alice", "log status", "log show --user alice", "log off --all",
		"penalty list", "penalty clear alice", "server pause mbx1 --for 1m", "server resume mbx1", "user kick alice"} {
		if got := here.asks(t, cli.StatusBad, strings.Fields(args)...); !strings.Contains(got,
			"portico: node mx3: dial tcp") {
			t.Errorf("%s: %s", args, got)
		}
	}
	if left := list(cli.StatusBad); len(left) != 0 {
		t.Errorf("%+v", left)
	}
}

// log on begins a rule on all nodes, and log tail follows all: a node that goes away is named, and found again.
func TestLogOfThreeNodes(t *testing.T) {
	testkit.NoLeaks(t)
	here, mx2, mx3 := threeNodes(t)
	if got := here.asks(t, cli.StatusFine, "log", "on", "--user", "alice"); strings.Count(got, "  user alice") != 3 {
		t.Error(got)
	}
	for _, r := range []*running{here, mx2, mx3} {
		testkit.Eventually(t, "a rule", func() bool { return len(r.protocol.Status().Rules) == 1 })
	}
	here.signIn(t)
	mx2.signIn(t)
	testkit.Eventually(t, "rows of two nodes", func() bool {
		got := here.asks(t, cli.StatusFine, "log", "show", "--user", "alice", "-o", "csv")
		return strings.Contains(got, ","+nodeName()+"\n") && strings.Contains(got, ",mx2\n")
	})
	here.asks(t, cli.StatusFine, "log", "off", "r1")
	tail := testkit.Program(t, "log", "tail", "-o", "json", "--admin", filepath.Join(here.site.dir, "admin.sock"))
	out, errs := &testkit.Log{}, &testkit.Log{}
	tail.Stdout, tail.Stderr = out, errs
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*running{here, mx2, mx3} {
		testkit.Eventually(t, "the command watches", func() bool { return r.protocol.Status().Watchers == 1 })
	}
	here.signIn(t)
	mx2.signIn(t)
	rowOf := func(node string) func() bool {
		return func() bool { return strings.Contains(out.String(), `{"node":"`+node+`","dateTime":`) }
	}
	testkit.Eventually(t, "a row of this node", rowOf(nodeName()))
	testkit.Eventually(t, "a row of mx2", rowOf("mx2"))
	address := mx3.api.address.String()
	mx3.signals <- syscall.SIGTERM
	mx3.stopped(t)
	testkit.Eventually(t, "mx3 is named", func() bool {
		return strings.Contains(errs.String(), "portico: node mx3: ") && strings.Contains(errs.String(), "trying again")
	})
	mx3.site.replace(t, `address: "[::1]:0", token_file`, fmt.Sprintf("address: %q, token_file", address))
	mx3 = mx3.site.serve(t, filepath.Join(mx3.site.dir, "portico.yaml"))
	testkit.Eventually(t, "mx3 is found again", func() bool {
		return strings.Contains(errs.String(), "portico: node mx3 answers again")
	})
	mx3.signIn(t)
	testkit.Eventually(t, "a row of mx3", rowOf("mx3"))
	if err := tail.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := tail.Wait(); err != nil {
		t.Errorf("%v: %s", err, errs)
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}
