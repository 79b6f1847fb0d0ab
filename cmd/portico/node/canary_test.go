package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health/admin"
)

// A user who is put on a canary is signed out and in again at its server, and is back when it stops, by command or
// because its time is over. Its figures are beside those of the other servers.
func TestCanary(t *testing.T) {
	testkit.NoLeaks(t)
	site := newTwoServers(t)
	site.replace(t, "{db1: {copies: [mbx1, mbx2]}}", "{db1: {copies: [mbx1, mbx2], interchangeable: true}}")
	r := site.site.serve(t, site.dir+"/portico.yaml")
	users := filepath.Join(site.dir, "users")
	if err := os.WriteFile(users, []byte("# try it\n\nalice\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := r.signIn(t)
	is := func(mbx1, mbx2 int) {
		t.Helper()
		if site.book.count("mbx1") != mbx1 || site.book.count("mbx2") != mbx2 {
			t.Errorf("%d users are on mbx1, %d on mbx2", site.book.count("mbx1"), site.book.count("mbx2"))
		}
	}
	is(1, 0)
	for _, refused := range []struct{ server, want string }{{"mbx1", "users are there already"},
		{"mbx9", "the server has no copy"}} {
		if got := r.asks(t, cli.StatusFailed, "canary", "start", "v2", "--database", "db1", "--server", refused.server,
			"--percent", "5"); !strings.Contains(got, refused.want) {
			t.Error(got)
		}
	}
	if got := r.asks(t, cli.StatusBad, "canary", "status"); strings.Contains(got, "v2") {
		t.Error(got)
	}
	start := []string{"canary", "start", "v2", "--database", "db1", "--server", "mbx2", "--users", users, "--for", "1h"}
	if got := r.asks(t, cli.StatusFine, start...); !strings.Contains(got, "0 % of db1 on mbx2 and 1 named") {
		t.Error(got)
	}
	const moved = "* BYE [UNAVAILABLE] Your mailbox is being moved*"
	c.Expect(moved)
	c = r.signIn(t)
	is(0, 1)
	if got := r.asks(t, cli.StatusFine, "user", "where", "alice"); !strings.Contains(got, "mbx2") {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusFine, "canary", "status", "-o", "wide"); !strings.Contains(got, "canary 0 %") ||
		!strings.Contains(got, "others") {
		t.Error(got)
	}
	if _, metrics := r.get(t, "/metrics"); !strings.Contains(metrics, "portico_canary_percent{canary=\"v2\"} 0\n") {
		t.Error("the canary has no metric")
	}
	r.asks(t, cli.StatusFine, "canary", "stop", "v2")
	c.Expect(moved)
	c = r.signIn(t)
	is(1, 0)
	r.asks(t, cli.StatusFine, start...)
	c.Expect(moved)
	c = r.signIn(t)
	is(0, 1)
	canaries := canariesAPI{r.service}
	canaries.endOver(t.Context(), time.Now())
	is(0, 1)
	canaries.endOver(t.Context(), time.Now().Add(time.Hour))
	c.Expect(moved)
	r.signIn(t)
	is(1, 0)
	if len(site.book.twice) > 0 {
		t.Errorf("on two servers: %q", site.book.twice)
	}
}

// canaryNodes starts two nodes of a cluster in front of two Dovecots with the same mail.
func canaryNodes(t *testing.T, w *watchedSite) (nodes []*running) {
	t.Helper()
	etcd := testkit.Etcd(t, 1) // it ends after the nodes
	for i := range 2 {
		n := &watchedSite{site: &site{dir: t.TempDir(), ca: w.ca}, dovecots: w.dovecots, valves: w.valves}
		n.certificate(t, "mail", "localhost", "127.0.0.1")
		n.put(t, "health.password", "probe-it\n")
		n.put(t, "secret", strings.Repeat("s", 40)+"\n")
		address := "127.0.0.1:" + testkit.FreePort(t)
		file := n.config(t, healthMailboxes+fmt.Sprintf("cluster: {name: mx%d, secret_file: secret, "+
			"advertise: \"http://%s\", etcd: {endpoints: [\"http://%s\"]}}\n", i+1, address, etcd[0].Address))
		n.replace(t, `admin.sock, address: ""`, `admin.sock, address: "`+address+`"`)
		n.replace(t, "{db1: {copies: [mbx1]}, db2: {copies: [mbx2]}}",
			"{db1: {copies: [mbx1, mbx2], interchangeable: true}}")
		n.replace(t, ", db2: {user: health2, password_file: health.password}", "")
		if i == 0 {
			var out strings.Builder
			if cli.Run([]string{"cluster", "init", "-c", file}, &out, &out, cli.Node{}) != cli.StatusFine {
				t.Fatal(out.String())
			}
		}
		nodes = append(nodes, n.serve(t, file))
	}
	return nodes
}

// A mailbox server that answers NO more often than the other one loses its canary: by the figures of both nodes, of
// which neither has enough, once for the site, and people are told why. Users are on one side all the time.
func TestCanaryIsStoppedByItsFigures(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	w.valves[1].set(fault{answersNo: " LSUB "})
	nodes := canaryNodes(t, w)
	users := filepath.Join(w.dir, "users")
	if err := os.WriteFile(users, []byte("anna\nbert\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start := []string{"canary", "start", "v2", "--database", "db1", "--server", "mbx2", "--users", users, "--stop-if"}
	if got := nodes[0].asks(t, cli.StatusFailed, append(start, "errors=0x")...); !strings.Contains(got, "from 1x to") {
		t.Error(got)
	}
	nodes[0].asks(t, cli.StatusFine, append(start, "p99=1000x")...)
	known := func(limits string) func() bool {
		return func() bool {
			for _, node := range nodes {
				if is := node.mailbox.active.Canaries(); len(is) != 1 || is[0].Limits.String() != limits {
					return false
				}
			}
			return true
		}
	}
	testkit.Eventually(t, "both nodes have the canary", known("p99=1000x"))
	for _, o := range [][]string{{"IMAP/ImapCanaryProbe", "--property", "RecurrenceIntervalSeconds"},
		{"IMAP/ImapCanaryMonitor", "--item-type", "Monitor", "--property", "MonitoringThreshold"},
		{"IMAP/ImapCanaryMonitor", "--item-type", "Monitor", "--property", "UnhealthySeconds"}} {
		nodes[0].asks(t, cli.StatusFine, append(append([]string{"override", "add"}, o...), "--value", "1")...)
	}

	sessions := make(map[string][]*testkit.Conn)
	signIn := func(node *running, user string) {
		c := testkit.Dial(t, node.clients.listeners.addresses()[1].String(), node.trust())
		c.Expect("* OK *")
		c.Command("a", "LOGIN "+user+" secret")
		sessions[user] = append(sessions[user], c)
	}
	on := func(server string, users ...string) { // all sessions of users, at all nodes, are there
		t.Helper()
		var all []admin.SessionState
		out := nodes[1].asks(t, cli.StatusFine, "session", "list", "-o", "json")
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			t.Fatal(err)
		}
		for _, user := range users {
			n := 0
			for _, s := range all {
				if s.User == user && s.Server != server {
					t.Errorf("%s is on %s", user, s.Server)
				}
				if s.User == user {
					n++
				}
			}
			if n != len(sessions[user]) {
				t.Errorf("%s has %d sessions", user, n)
			}
		}
	}
	for _, node := range nodes {
		for _, user := range []string{"anna", "bert", "cleo", "dora"} {
			signIn(node, user)
			c := sessions[user][len(sessions[user])-1]
			for range 140 {
				c.Send("b LSUB \"\" *")
				c.Expect("b *")
			}
		}
	}
	on("mbx2", "anna", "bert")
	on("mbx1", "cleo", "dora")
	status := func(args ...string) (figures []string) {
		for _, node := range nodes { // without waiting for the next record
			node.figures.history.Record(node.figures.now(), node.figures.counts())
		}
		var all []admin.Canary
		out := nodes[0].asks(t, cli.StatusFine, append([]string{"canary", "status", "v2", "-o", "json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
			t.Fatal(err, out)
		}
		for _, arm := range all[0].Arms {
			for _, v := range arm.Verbs {
				if v.Verb == "LSUB" {
					figures = append(figures, fmt.Sprintf("%s: %d of %d failed", arm.Servers, v.Errors, v.Commands))
				}
			}
		}
		return figures
	}
	if got := status(); !slices.Equal(got, []string{"[mbx2]: 560 of 560 failed", "[mbx1]: 0 of 560 failed"}) {
		t.Errorf("%q", got)
	}
	if got := status("--node", "mx2"); !slices.Equal(got, []string{"[mbx2]: 280 of 280 failed",
		"[mbx1]: 0 of 280 failed"}) {
		t.Errorf("%q", got)
	}
	probe := []string{"probe", "run", "IMAP/ImapCanaryProbe/v2@mbx2", "-o", "list"}
	if got := nodes[0].asks(t, cli.StatusFine, probe...); !strings.Contains(got, "by the figures of 2 nodes") {
		t.Error(got)
	}
	nodes[1].asks(t, cli.StatusFine, "canary", "set", "v2", "--stop-if", "errors=2x")
	for _, node := range nodes {
		testkit.Eventually(t, "the canary is stopped", func() bool { return len(node.mailbox.active.Canaries()) == 0 })
	}
	for _, user := range []string{"anna", "bert"} {
		for _, c := range sessions[user] {
			c.Expect("* BYE [UNAVAILABLE] Your mailbox is being moved*")
		}
		sessions[user] = nil
		for _, node := range nodes {
			signIn(node, user)
		}
	}
	on("mbx1", "anna", "bert", "cleo", "dora")
	for _, node := range nodes {
		node.eventually(t, "all nodes know, and nothing looks at it", func() bool {
			_, looks := node.monitors(t)["ImapCanaryMonitor/v2@mbx2"]
			return !looks && node.recovered() == "StopCanary/v2:Succeeded" &&
				len(node.recovery.responders.Ladders()) == 0
		})
	}
	const why = "LSUB failed: 100.00 % of 560, on the other servers 0.00 % of 560"
	if record := nodes[0].recovery.responders.Records()[0]; !strings.Contains(record.Message, why) {
		t.Errorf("the recovery log says %q", record.Message)
	}
	if !strings.Contains(nodes[0].log.String()+nodes[1].log.String(), "recovery succeeded") {
		t.Error("nobody was told")
	}
}
