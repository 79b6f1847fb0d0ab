package node

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/configs/store"
	"portico/health"
	"portico/health/admin"
)

// What an operator reads and types, in cases where a person was misled.

// operated is a watched site with two copies of each database, and a Portico that is asked by PORTICO_ADMIN.
func operated(t *testing.T) (*watchedSite, *running) {
	t.Helper()
	w := newWatchedSite(t, nil)
	file := w.config(t, healthTimings)
	w.replace(t, "{db1: {copies: [mbx1]}, db2: {copies: [mbx2]}}",
		"{db1: {copies: [mbx1, mbx2]}, db2: {copies: [mbx2, mbx1]}}")
	t.Setenv("PORTICO_ADMIN", filepath.Join(w.dir, "admin.sock"))
	return w, w.serve(t, file)
}

// said runs a command line, whose arguments have no spaces, and returns all that it prints.
func said(t *testing.T, want int, line string) string {
	t.Helper()
	status, out, errs := command(strings.Fields(line)...)
	if status != want {
		t.Errorf("%s: status %d, want %d\n%s%s", line, status, want, out, errs)
	}
	return out + errs
}

// wantSaid is said for one text that has to be in it.
func wantSaid(t *testing.T, want int, line, text string) {
	t.Helper()
	if got := said(t, want, line); !strings.Contains(got, text) {
		t.Errorf("%s: no %q in\n%s", line, text, got)
	}
}

// What another command prints as a name is taken, and what has changed nothing says so.
func TestNamesOfRowsAreTaken(t *testing.T) {
	testkit.NoLeaks(t)
	w, r := operated(t)
	r.settled(t)
	for name := range strings.Lines(said(t, cli.StatusFine, "database status -o name")) {
		said(t, cli.StatusFine, "database copy resume "+name)
	}
	wantSaid(t, cli.StatusFine, "database move db1/mbx2 -o name", "db1\n")
	if got := said(t, cli.StatusFine, "database move db1 mbx2"); !strings.Contains(got, "nothing has changed") {
		t.Error(got)
	}
	wantSaid(t, cli.StatusFine, "override add IMAP/ImapCTPProbe --property Enabled --value 1 -o name",
		"IMAP/ImapCTPProbe\n")
	wantSaid(t, cli.StatusFine, "server policy mbx1 Blocked -o name", "mbx1\n")
	wantSaid(t, cli.StatusFine, "maintenance stop", "is not in maintenance")
	wantSaid(t, cli.StatusFine, "maintenance start mbx1", "activation on mbx1")
	wantSaid(t, cli.StatusFine, "config diff", "Nothing differs")
	wantSaid(t, cli.StatusFine, "log on --user ann", "no directory is configured")
	if got := said(t, cli.StatusFine, "health get --failed"); strings.Contains(got, "Monitor") {
		t.Error(got)
	}
	w.valves[1].set(fault{refuse: true})
	r.eventually(t, "a monitor fails", func() bool {
		status, out, _ := command("health", "get", "--failed", "-o", "name")
		return status == cli.StatusBad && strings.Contains(out, "ImapSelfTestMonitor/mbx2") &&
			!strings.Contains(out, "ImapProxyTestMonitor")
	})
	wantSaid(t, cli.StatusFailed, "health get nonsense --failed", "there is no health set or monitor")
	w.valves[1].set(fault{})
}

// A damaged copy is not the store: the check says so, with an exit status of its own. A copy is written to a file
// though PORTICO_ADMIN is set. Advice names files that are there.
func TestStoreIsToldFromItsCopies(t *testing.T) {
	testkit.NoLeaks(t)
	w, r := operated(t)
	file := filepath.Join(w.dir, "mine")
	wantSaid(t, cli.StatusFine, "store backup "+file, "whole")
	if content, err := store.ReadCopy(file); err != nil || len(content.Entries) == 0 {
		t.Errorf("%+v, %v", content, err)
	}
	said(t, cli.StatusFine, "store backup")
	copies, err := store.Copies(filepath.Join(w.dir, "data"))
	if err != nil || len(copies) == 0 {
		t.Fatal(copies, err)
	}
	if err := os.WriteFile(copies[0].Path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantSaid(t, cli.StatusDoubt, "store check", "the store is intact; 1 copy is damaged")
	wantSaid(t, cli.StatusFailed, "store backup "+file+" --admin 127.0.0.1:1", "may be on another")
	r.signals <- os.Interrupt
	r.stopped(t)
	if err := os.Remove(filepath.Join(w.dir, "data", store.FileName)); err != nil {
		t.Fatal(err)
	}
	got := said(t, cli.StatusBad, "check -c "+filepath.Join(w.dir, "portico.yaml")) +
		said(t, cli.StatusFailed, "database pin -c "+filepath.Join(w.dir, "portico.yaml"))
	if _, away, _ := strings.Cut(got, "move away:"); !strings.Contains(away, store.IdentityName) ||
		strings.Contains(away, store.FileName+",") {
		t.Error(got)
	}
}

// An alert about a server says that users are out only while a database is active there.
func TestAlertsAfterAMove(t *testing.T) {
	testkit.NoLeaks(t)
	_, r := operated(t)
	of := func(servers ...string) string {
		if len(servers) == 1 { // it has no cause in common with others
			return r.alerts.consequence(health.Alert{Mailbox: servers[0]})
		}
		return r.alerts.consequence(health.Alert{Servers: servers})
	}
	const out = "users may not reach their mail"
	if !strings.Contains(of("mbx1"), out) || !strings.Contains(of(), out) {
		t.Error(of("mbx1"), of())
	}
	said(t, cli.StatusFine, "database move db1 mbx2")
	if strings.Contains(of("mbx1"), out) || !strings.Contains(of("mbx1", "mbx2"), out) {
		t.Error(of("mbx1"), of("mbx1", "mbx2"))
	}
}

// A user whose server is down can sign in if another copy has the same mail; and who has only guessed right has no
// failures.
func TestWhereOfInterchangeableCopies(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	file := w.config(t, healthTimings)
	w.replace(t, "{db1: {copies: [mbx1]}, db2: {copies: [mbx2]}}",
		"{db1: {copies: [mbx1, mbx2], interchangeable: true}, db2: {copies: [mbx2, mbx1]}}")
	r := w.serve(t, file)
	r.settled(t)
	where := func(user string) *admin.SignInState {
		location, err := (usersAPI{r.service}).Where(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		return location.SignIn
	}
	r.asks(t, cli.StatusFine, "component", "set", "RecoveryActionsEnabled", "--state", "Inactive", "--requester",
		"Functional")
	w.valves[0].set(fault{refuse: true})
	testkit.Eventually(t, "mbx2 stands in", func() bool {
		s := where("health1")
		return s.Possible && strings.Contains(s.Reason, "sign-ins go to mbx2")
	})
	r.asks(t, cli.StatusFine, "server", "block", "mbx2")
	if s := where("health1"); s.Possible {
		t.Errorf("the other copy is blocked: %+v", s)
	}
	w.valves[0].set(fault{})
	w.valves[1].set(fault{refuse: true})
	testkit.Eventually(t, "copies that differ do not stand in", func() bool { return !where("health2").Possible })
}

// A runbook says which answers it takes, and what has become of it when it is ended.
func TestRunbookAnswers(t *testing.T) {
	testkit.NoLeaks(t)
	w, r := operated(t)
	r.settled(t)
	r.asks(t, cli.StatusFine, "component", "set", "RecoveryActionsEnabled", "--state", "Inactive", "--requester",
		"Functional")
	w.valves[0].set(fault{refuse: true})
	root, out := cli.New(program), &bytes.Buffer{}
	root.SetArgs([]string{"runbook", "selftest", "mbx1"})
	root.SetIn(strings.NewReader("maybe\nquit\n"))
	root.SetOut(out)
	root.SetErr(out)
	if status := cli.ExitStatus(root.Execute(), out); status != cli.StatusBad ||
		!strings.Contains(out.String(), `"maybe" is not an answer`) ||
		!strings.Contains(out.String(), "Ended: 0 steps were taken") {
		t.Errorf("status %d\n%s", status, out)
	}
	w.valves[0].set(fault{})
}

// Names that nothing has are answered with what there is, whichever command they are typed to. Swapped arguments are
// told.
func TestWrongNamesAreAnswered(t *testing.T) {
	testkit.NoLeaks(t)
	_, r := operated(t)
	r.settled(t)
	for line, want := range map[string]string{
		"runbook deep mbx1":    `there is no database "mbx1"; known: db1, db2; mbx1 is a mailbox server`,
		"runbook selftest db1": "db1 is a database", "runbook queue mbx9 --auto": "known: mbx1, mbx2",
		"runbook ctp bd1": "did you mean db1?",
		"probe run IMAP.Protocol/ImapDeepTestProbe/db9": "known: IMAP.Protocol/ImapDeepTestProbe/db1, " +
			"IMAP.Protocol/ImapDeepTestProbe/db2",
		"probe run ImapSelfTestProbe/mbx1":     "IMAP.Protocol/ImapSelfTestProbe/mbx1",
		"probe list ImapSelfTestProb":          "did you mean ImapSelfTestProbe?",
		"probe history IMAP/ImapCTPProbe/db9":  "IMAP/ImapCTPProbe/db1",
		"health explain IMAP/ImapCTPProbe/db9": "IMAP/ImapCTPProbe/db1",
		"settings set foo=1":                   "portico settings get lists them",
		"settings set max_conections=1":        "did you mean max_connections?",
		"database move db9 mbx1":               `there is no database "db9"; known: db1, db2`,
		"database move db1 mbx9":               `there is no mailbox server "mbx9"; known: mbx1, mbx2`,
		"database move mbx1 db1": "mbx1 is a mailbox server and db1 a " +
			"database: write the database first, as in db1 mbx1",
		"database copy resume mbx1 db1": "write the database first",
		"health repairing ImapSelfTestMonitor/mbx1": "did you mean " +
			"IMAP.Protocol/ImapSelfTestMonitor/mbx1?",
		"health get unhealthy":    "write --where 'AlertValue -eq unhealthy'",
		"component get ImapProxi": "did you mean ImapProxy?",
		"override add ImapSelfTestProbe --property Enabled --value 0": "did you mean IMAP.Protocol/ImapSelfTestProbe?",
	} {
		wantSaid(t, cli.StatusFailed, line, want)
	}
}

// A span of time that ends before it begins is refused, and so is a folder where a file is to be written. What is in
// maintenance already was not enabled before.
func TestMistakesOfTheNight(t *testing.T) {
	testkit.NoLeaks(t)
	w, r := operated(t)
	r.settled(t)
	wantSaid(t, cli.StatusFailed, "log show --from 2h --to 3h", "--from must be before --to")
	wantSaid(t, cli.StatusFailed, "store backup "+w.dir, "is a folder")
	said(t, cli.StatusFine, "maintenance start mbx1")
	if got := said(t, cli.StatusFine, "maintenance start mbx1"); strings.Contains(got, "enabled") {
		t.Error(got)
	}
}
