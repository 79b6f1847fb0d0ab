package node

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// commandsWithoutResults run until they are stopped, print a text for people or other programs, ask a demo, as
// TestDemoFailsOver does, replace the process that answers, as TestUpgrade does, or need several nodes, as in
// TestNodesOfACluster.
var commandsWithoutResults = []string{
	"serve", "demo", "demo break", "demo mend", "bench sink", "bench profile show", "bench profile from-log",
	"man", "token new", "service upgrade", "node remove", "config import", "config show", "help",
	"completion bash",
	"completion fish", "completion powershell", "completion zsh",
}

// commandSamples are arguments with which each command can be tried on a site of mbx1, mbx2, db1 (on both) and db2.
// They are tried in order: each leaves things as the next expects them.
var commandSamples = []struct{ command, args string }{
	{"check", "--config FILE"},
	{"version", ""},
	{"config diff", ""},
	{"config history", ""},
	{"config apply", ""},
	{"config rollback", "1"},
	{"settings get", ""},
	{"settings set", "Banner=Hello"},
	{"settings reset", "banner"},
	{"server list", ""},
	{"server block", "mbx2"},
	{"server unblock", "mbx2"},
	{"server policy", "mbx1 Unrestricted"},
	{"server pause", "mbx1 --for 1m"},
	{"server resume", "mbx1"},
	{"canary start", "v2 --database db1 --server mbx2 --percent 5"},
	{"canary status", ""},
	{"canary set", "v2 --percent 10"},
	{"canary stop", "CANARY"},
	{"database status", ""},
	{"database move", "db1 mbx2"},
	{"database rebalance", ""},
	{"database copy resume", "db1 mbx1"},
	{"session list", ""},
	{"session show", "SESSION"},
	{"session kill", "SESSION"},
	{"session slow", ""},
	{"stats", ""},
	{"top", "--once"},
	{"user where", "ANN"},
	{"user move", "ann db2"},
	{"user kick", "ann"},
	{"penalty list", ""},
	{"penalty clear", "ann"},
	{"log on", "--user ann --for 1m"},
	{"log status", ""},
	{"log show", "--from 1m"},
	{"log off", "--all"},
	{"health get", ""},
	{"health report", ""},
	{"health alerts", ""},
	{"health recovery", ""},
	{"health repairing", "IMAP.Protocol/ImapSelfTestMonitor/mbx1 --off"},
	{"health bundle", ""},
	{"probe list", ""},
	{"probe history", "IMAP/ImapCTPProbe"},
	{"health items", ""},
	{"health explain", "IMAP.Protocol/ImapDeepTestProbe/db1"},
	{"probe run", "IMAP.Protocol/ImapSelfTestProbe"},
	{"override add", "IMAP/ImapCTPProbe --property Enabled --value 1 --duration 1h"},
	{"override list", ""},
	{"override remove", "IMAP/ImapCTPProbe --property Enabled"},
	{"component get", ""},
	{"component set", "ImapProxy --state Active --requester Maintenance"},
	{"runbook selftest", "mbx1 --auto"},
	{"runbook deep", "db2 --auto"},
	{"runbook ctp", "db2 --auto"},
	{"runbook proxy", "--auto"},
	{"runbook queue", "mbx1 --auto"},
	{"runbook average", "mbx1 --auto"},
	{"service status", ""},
	{"service restart", ""},
	{"service generations", ""},
	{"maintenance start", "mbx2"},
	{"maintenance status", ""},
	{"maintenance stop", "mbx2"},
	{"database pin", "--config OTHER"},
	{"database pinned", "--config OTHER"},
	{"store check", ""},
	{"store backup", ""},
	{"store show", ""},
	{"store restore", "latest --config STOPPED"},
	{"cluster status", ""},
	{"node list", ""},
	{"cluster init", "--config CLUSTER"},
	{"cluster join", "--config CLUSTER"},
	{"cluster leave", "--config CLUSTER"},
	{"token list", "TOKENS"},
	{"test imap", "127.0.0.1:1 --user ann --password-file PASSWORD"},
	{"bench profile list", ""},
	{"bench run", "--target SINK --users user%02d:1-3 --password-file BENCH --duration 100ms --sessions 3"},
	{"bench compare", "--config COMPARE"},
	{"bench diff", "ROUNDS ROUNDS"},
	{"bench merge", "RUN MACHINE2"},
	{"bench clean", "--target SINK --users user%02d:1-3 --password-file BENCH"},
}

// Every command writes its results in every form. Tables fit 80 columns.
func TestEveryCommandInEveryForm(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	file := w.config(t, healthMailboxes)
	w.replace(t, "db1: {copies: [mbx1]}", "db1: {copies: [mbx1, mbx2], interchangeable: true}")
	r := w.serve(t, file)
	testkit.Eventually(t, "all probes have run",
		func() bool { return r.monitors(t)["ImapCTPMonitor/db2"].AlertValue == "Healthy" })
	other := newSite(t)
	otherFile := other.writeWithout(t, "databases", "routing: hash\ndatabases: {db1: {copies: [mbx1]}}\n")
	stopped := newSite(t)
	stoppedFile := stopped.writeWithout(t, "databases", "routing: hash\ndatabases: {db1: {copies: [mbx1]}}\n")
	for _, args := range [][]string{{"database", "pin"}, {"store", "backup"}} { // something to restore
		if status, _, errs := command(append(args, "--config", stoppedFile)...); status != cli.StatusFine {
			t.Fatal(errs)
		}
	}
	clusterFile := newSite(t).writeWithout(t, "databases", "databases: {db1: {copies: [mbx1]}}\ncluster: {name: mx1, "+
		"secret_file: "+writeSecret(t)+", etcd: {endpoints: [\"http://"+testkit.Etcd(t, 1)[0].Address+"\"]}}\n")
	tokens := filepath.Join(t.TempDir(), "tokens")
	status, _, errs := command("token", "new", "ann", "--right", "read", "--file", tokens)
	if status != cli.StatusFine {
		t.Fatal(errs)
	}
	sink, passwords := testkit.Sink(t)
	compare := filepath.Join(filepath.Dir(passwords), "compare.yaml")
	plan := "rounds: 1\nwork: {profile: noop, users: user, password_file: " + passwords +
		", sessions: 1, duration: 100ms}\n" +
		"targets: [{name: one, target: \"" + sink + "\"}, {name: two, target: \"" + sink + "\"}]\n"
	if err := os.WriteFile(compare, []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	run := benchReport(t, sink, passwords, "1")
	rounds := benchReport(t, sink, passwords, "5")
	fill := strings.NewReplacer("SINK", sink, "BENCH", passwords, "COMPARE", compare, "RUN", run, "ROUNDS", rounds,
		"MACHINE2", otherMachine(t, run), "TOKENS", tokens, "CLUSTER", clusterFile,
		"FILE", file, "OTHER", otherFile, "STOPPED", stoppedFile, "PASSWORD", filepath.Join(w.dir, "health.password"))
	t.Setenv("PORTICO_ADMIN", filepath.Join(w.dir, "admin.sock"))
	t.Setenv("COLUMNS", "80")
	known := testkit.Commands(cli.New(program))
	for _, words := range append(slices.Clone(commandsWithoutResults), "log tail") {
		delete(known, words)
	}
	for _, form := range []string{"json", "table", "wide", "list", "name", "csv", "table --no-headers"} {
		tryTail(t, r, form)
	}
	for _, sample := range commandSamples {
		cmd := known[sample.command]
		if cmd == nil {
			t.Errorf("there is no command %s", sample.command)
			continue
		}
		delete(known, sample.command)
		args := append(strings.Fields(sample.command), strings.Fields(fill.Replace(sample.args))...)
		for _, form := range []string{"json", "table", "wide", "list", "name", "table --no-headers"} {
			switch sample.args {
			case "SESSION":
				args[len(args)-1] = openSession(t, r)
			case "CANARY": // nobody stops one that there is not
				args[len(args)-1] = "v2"
				r.asks(t, cli.StatusFine, "canary", "start", "v2", "--database", "db1", "--server", "mbx2",
					"--percent", "5")
			}
			tryForm(t, args, form)
		}
	}
	for words := range known {
		t.Errorf("%s has no sample here", words)
	}
}

// writeSecret writes the secret of a site's nodes to a file.
func writeSecret(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(strings.Repeat("s", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// openSession signs a user in, and returns the ID of a session of that user.
func openSession(t *testing.T, r *running) (id string) {
	t.Helper()
	c := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
	c.Expect("* OK *")
	c.Command("a", "LOGIN anna secret")
	testkit.Eventually(t, "the session is listed", func() bool { // a loop has it a moment later
		for _, s := range r.clients.server.Sessions() {
			if s.User == "anna" {
				id = s.ID
			}
		}
		return id != ""
	})
	return id
}

// benchReport measures a sink for some rounds and returns the file with the report.
func benchReport(t *testing.T, sink, passwords, rounds string) string {
	t.Helper()
	var out string
	testkit.Eventually(t, "a run in which something was done", func() bool { // a busy machine may need some
		var status int
		status, out, _ = command("bench", "run", "--target", sink, "--users", "user", "--password-file", passwords,
			"--sessions", "1", "--rate", "100", "--duration", "200ms", "--rounds", rounds, "-o", "json")
		return status == cli.StatusFine
	})
	file := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// otherMachine writes a report as if another load machine had made it at the same time.
func otherMachine(t *testing.T, report string) string {
	t.Helper()
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	runIDs := regexp.MustCompile(`"run_ids":\s*\[\s*"[^"]+"\s*\]`)
	if !runIDs.Match(text) {
		t.Fatal("the report names no run")
	}
	file := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(file, runIDs.ReplaceAll(text, []byte(`"run_ids":["2"]`)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// tryForm runs a command that is expected to have an answer.
func tryForm(t *testing.T, args []string, form string) {
	t.Helper()
	args = append(slices.Clone(args), append([]string{"-o"}, strings.Fields(form)...)...)
	status, out, errs := command(args...)
	if status == cli.StatusFailed {
		t.Errorf("%q: status %d, %s%s", args, status, out, errs)
		return
	}
	inForm(t, args, form, out, status)
}

// tryTail watches the protocol log until there are rows, and interrupts that.
func tryTail(t *testing.T, r *running, form string) {
	t.Helper()
	args := append([]string{"log", "tail", "-o"}, strings.Fields(form)...)
	tail := testkit.Program(t, args...)
	out := &testkit.Log{}
	tail.Stdout = out
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the command watches", func() bool { return r.protocol.Status().Watchers == 1 })
	r.asks(t, cli.StatusFine, "probe", "run", "IMAP/ImapCTPProbe/db1") // comes through the front end
	testkit.Eventually(t, "a row is shown", func() bool { return strings.Count(out.String(), "\n") > 1 })
	if err := tail.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := tail.Wait(); err != nil {
		t.Errorf("%q: %v", args, err)
	}
	if form != "json" {
		inForm(t, args, form, out.String(), cli.StatusFine)
		return
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%q: no JSON: %s", args, line)
		}
	}
}

// inForm checks what a command has printed.
func inForm(t *testing.T, args []string, form, out string, status int) {
	t.Helper()
	switch form {
	case "json":
		if status != cli.StatusFailed && !json.Valid([]byte(out)) && args[0] != "log" {
			t.Errorf("%q: no JSON: %s", args, out)
		}
	case "table", "table --no-headers":
		for line := range strings.Lines(out) {
			// paths and sentences
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 &&
				!slices.Contains([]string{"check", "runbook", "bench"}, args[0]) &&
				!slices.Contains([]string{"bundle", "restore"}, args[1]) {
				t.Errorf("%q: a line has %s columns: %s", args, strconv.Itoa(n), line)
			}
		}
	}
}

// Each command that changes something prints as JSON what has changed, from what to what, as its table does.
func TestChangesAsJSON(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	file := w.config(t, healthMailboxes)
	w.replace(t, "db1: {copies: [mbx1]}", "db1: {copies: [mbx1, mbx2]}")
	w.serve(t, file)
	for _, c := range []struct{ asked, want string }{
		{"server block mbx2", `"what": "activation on mbx2","was": "allowed","now": "blocked","result": "done"`},
		{"server block mbx2", `"was": "blocked","now": "blocked"`},
		{"server unblock mbx2", `"was": "blocked","now": "allowed"`},
		{"server block mbx1 --move",
			`"what": "database db1","was": "mbx1","now": "mbx2","result": "moved to mbx2","database": "db1"`},
		{"server unblock mbx1", `"was": "blocked"`},
		{"database rebalance", `"what": "database db1","was": "mbx2","now": "mbx1"`},
		{"database move db1 mbx2", `"was": "mbx1"|"now": "mbx2"`},
		{"server policy mbx1 Blocked", `"was": "Unrestricted","now": "Blocked"`},
		{"server pause mbx1 --for 1m", `"what"|"was"|"now"`},
		{"server resume mbx1", `"what"|"was"|"now"`},
		{"component set ImapProxy --state Inactive --requester Functional", `"was": "Active","now": "Inactive"`},
		{"settings set Banner=Hello", `"value": "Hello"|"was"`},
		{"log on --user ann --for 1m", `"was": "none","now": "user ann"`},
		{"log off --all", `"what": "rule r1","was": "user ann"`},
		{"override add IMAP/ImapCTPProbe --property Enabled --value 0", `"what"|"was"|"now"`},
		{"override remove IMAP/ImapCTPProbe --property Enabled", `"what"|"was"|"now"`},
		{"user move ann db2", `"was": "db1"|"database": "db2"`},
	} {
		args := append(strings.Fields(c.asked), "-o", "json", "--admin", filepath.Join(w.dir, "admin.sock"))
		_, out, errs := command(args...)
		flat := strings.Join(strings.Fields(strings.ReplaceAll(out, "\n", "")), " ")
		flat = strings.ReplaceAll(flat, `, "`, `,"`)
		for want := range strings.SplitSeq(c.want, "|") {
			if !strings.Contains(flat, want) {
				t.Errorf("%s: no %s in\n%s%s", c.asked, want, out, errs)
			}
		}
	}
}
