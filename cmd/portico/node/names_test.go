package node

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health/admin"
	"portico/health/admin/client"
)

// namedSite is a site whose directory knows alice@example.org, by whatever name she is typed, and nobody else.
func namedSite(t *testing.T) (*site, *running) {
	t.Helper()
	s := newSite(t)
	s.serveMail(t)
	file := s.write(t,
		"settings: {login_type: plain_text_login}\ndefault_domain: example.org\npenalties: {first: 10ms}\n"+
			"directory: {sources: [{rules: [{match: \"alice@example.org\", database: db1}]}]}\n")
	return s, s.serve(t, file)
}

// All commands find a user by the name that a sign-in would take, and refuse one whom the directory does not know.
func TestNamesAreFoundAsAtSignIn(t *testing.T) {
	testkit.NoLeaks(t)
	s, r := namedSite(t)
	r.signIn(t)
	for _, typed := range []string{"alice", "ALICE", "Alice@Example.ORG"} {
		for _, words := range [][]string{
			{"user", "where", typed}, {"session", "list", "--user", typed}, {"log", "on", "--user", typed},
			{"log", "show", "--user", typed, "--from", "1h"},
		} {
			got, want := s.portico(t, cli.StatusFine, words...), "alice"
			if words[1] == "show" {
				want = "portico: no rows match\n" // nothing was logged yet
			}
			if !strings.Contains(got, want) || strings.Contains(got, "does not know") {
				t.Errorf("%q: %s", words, got)
			}
		}
	}
	for _, words := range [][]string{
		{"log", "on", "--user", "bob"}, {"log", "tail", "--user", "bob"}, {"session", "list", "--user", "bob"},
		{"session", "slow", "--user", "bob"},
		{"user", "kick", "bob"}, {"penalty", "list", "--user", "bob"},
	} {
		if got := s.portico(t, cli.StatusFailed, words...); !strings.Contains(got,
			"there is no user bob: the directory does not know bob@example.org") {
			t.Errorf("%q: %s", words, got)
		}
	}
	for words, want := range map[string]string{
		"user where bob":          "there is no user bob: the directory does not know bob@example.org",
		"user move alice db9":     `there is no database "db9"; known: db1`,
		"user move alice dbx1":    "did you mean db1?",
		"health get IMAP.Protcol": "did you mean IMAP.Protocol?",
	} {
		if got := s.portico(t, cli.StatusFailed, strings.Fields(words)...); !strings.Contains(got, want) {
			t.Errorf("%s: %s", words, got)
		}
	}
	for _, words := range [][]string{
		{"session", "list", "--server", "mbx9"}, {"session", "slow", "--server", "mbx9"},
		{"log", "on", "--server", "mbx9"}, {"user", "kick", "--server", "mbx9"},
		{"server", "block", "mbx9"}, {"maintenance", "start", "mbx9"},
	} {
		if got := s.portico(t, cli.StatusFailed, words...); !strings.Contains(got,
			`there is no mailbox server "mbx9"; known: mbx1`) {
			t.Errorf("%q: %s", words, got)
		}
	}
	if got := s.portico(t, cli.StatusFailed, "session", "slow", "--command", "fecth"); !strings.Contains(got,
		"did you mean FETCH?") {
		t.Error(got)
	}
}

// A session shows its open command, since when it is open, and its share of waiting; it is found by each filter, and
// ended by each.
func TestSessionsAreFoundAndEnded(t *testing.T) {
	testkit.NoLeaks(t)
	s, r := namedSite(t)
	c := r.signIn(t)
	c.Send("b APPEND INBOX {500}")
	c.Expect("+ *")
	time.Sleep(20 * time.Millisecond) // an age that can be told from none
	list := func(args ...string) (all []admin.SessionState) {
		t.Helper()
		text := s.portico(t, cli.StatusFine, append([]string{"session", "list", "-o", "json"}, args...)...)
		if err := json.Unmarshal([]byte(text[strings.Index(text, "["):]), &all); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return all
	}
	var all []admin.SessionState
	testkit.Eventually(t, "the mailbox server's share of the time falls", func() bool {
		all = list()
		return len(all) == 1 && all[0].Waiting < 0.9
	})
	if all[0].Command != "APPEND" || all[0].Age < 0.02 || time.Since(*all[0].Began) < 20*time.Millisecond {
		t.Fatalf("%+v", all)
	}
	id := all[0].ID
	for _, fits := range [][]string{
		{"--ip", "127.0.0.0/8"}, {"--session", id}, {"--server", "mbx1"},
		{"--where", "Command -eq append -and Age -gt 10ms"}, {"--where", "User -like al*", "--sort", "-Age"},
	} {
		if all := list(fits...); len(all) != 1 {
			t.Errorf("%q: %+v", fits, all)
		}
	}
	for _, not := range [][]string{{"--ip", "192.0.2.1"}, {"--where", "Age -gt 1h"}, {"--where", "User -notlike *"}} {
		if all := list(not...); len(all) != 0 {
			t.Errorf("%q: %+v", not, all)
		}
	}
	s.portico(t, cli.StatusFailed, "session", "list", "--ip", "192.0.2")
	s.portico(t, cli.StatusFailed, "session", "list", "--session", "0123456789abcdef")
	s.portico(t, cli.StatusFailed, "session", "list", "--sort", "Agee")

	// nobody answers
	if got := s.portico(t, cli.StatusFailed, "user", "kick", "--ip", "127.0.0.1"); !strings.Contains(got, "--yes") {
		t.Error(got)
	}
	if all := list(); len(all) != 1 {
		t.Fatalf("ended without an answer: %+v", all)
	}
	for _, which := range [][]string{{"--ip", "127.0.0.1", "--yes"}, {"--server", "mbx1", "--yes"}, {"ALICE"},
		{"--session", ""}} {
		if len(list()) == 0 {
			r.signIn(t)
			testkit.Eventually(t, "a session", func() bool { return len(list()) == 1 }) // a loop has it a moment later
		}
		if which[0] == "--session" {
			which = []string{"--session", strings.ToUpper(list()[0].ID)}
		}
		if got := s.portico(t, cli.StatusFine, append([]string{"user", "kick"}, which...)...); !strings.Contains(got,
			"1 session ended.") || !strings.Contains(got, "alice") {
			t.Errorf("%q: %s", which, got)
		}
		if all := list(); len(all) != 0 {
			t.Errorf("%q: %+v", which, all)
		}
	}
}

// A condition that can match nothing is refused, with the nearest value that can.
func TestConditionsThatMatchNothing(t *testing.T) {
	testkit.NoLeaks(t)
	s, r := namedSite(t)
	r.signIn(t)
	for condition, words := range map[string]string{
		"Server -eq mbx9": "there is no", "Server -like nx*": "there is no mailbox server",
		"Database -ne DBx": "known: db1", "Command -eq FOO": "there is no command",
		"User -eq nobody": "there is no user", "Age -gt x": "is not a time", "Waiting -ge much": "is not a number",
		"Open -eq one": "is not a number", "Server -gt mbx1": "compares numbers",
	} {
		if got := s.portico(t, cli.StatusFailed, "session", "list", "--where",
			condition); !strings.Contains(got, words) {
			t.Errorf("%s: no %q in %s", condition, words, got)
		}
	}
	for _, condition := range []string{"Server -eq MBX1", "User -eq ALICE", "Age -ge 00:00:00", "Waiting -le 100%",
		"Command -eq ''", "Server -like mb*"} {
		s.portico(t, cli.StatusFine, "session", "list", "--where", condition)
	}
	for condition, words := range map[string]string{
		"AlertValue -eq Unhelthy":    "did you mean Unhealthy?",
		"TargetResource -eq nosuch":  "there is no TargetResource",
		"HealthSetName -like Nimap*": "there is no HealthSetName",
		"State -eq onlin":            "did you mean Online?",
	} {
		if got := s.portico(t, cli.StatusFailed, "health", "get", "--where",
			condition); !strings.Contains(got, words) {
			t.Errorf("%s: no %q in %s", condition, words, got)
		}
	}
	s.portico(t, cli.StatusFine, "health", "get", "--where", "AlertValue -eq repairing -and State -eq Offline")
	s.portico(t, cli.StatusFailed, "log", "on")
	s.portico(t, cli.StatusFailed, "log", "on", "--all", "--user", "alice")
	s.portico(t, cli.StatusFine, "log", "on", "--all")
	s.portico(t, cli.StatusFailed, "log", "off")
	s.portico(t, cli.StatusFine, "log", "off", "--all")
}

// Of a user whom no directory vouches for, it is said what is known, and what is not.
func TestWhereOfAUserWhomNobodyVouchesFor(t *testing.T) {
	testkit.NoLeaks(t)
	s := newSite(t)
	s.serveMail(t)
	const config = "settings: {login_type: plain_text_login}\ndefault_domain: example.org\n"
	r := s.serve(t, s.write(t, config))
	where := func(want int, user string, words ...string) {
		t.Helper()
		got := s.portico(t, want, "user", "where", user)
		for _, word := range words {
			if !strings.Contains(got, word) {
				t.Errorf("no %q in\n%s", word, got)
			}
		}
	}
	where(cli.StatusFine, "nobody", "No directory is configured, so Portico cannot tell whether user\n"+
		"nobody@example.org exists. Routing sends sign-ins of this name to\ndb1 on mbx1.\nNo session of this "+
		"name is open")
	r.signIn(t)
	where(cli.StatusFine, "alice", "A mailbox server has accepted this user: 1 session is open.")
	s.write(t, config+"directory: {sources: [{http: {urls: [\"http://127.0.0.1:1/\"]}}]}\n")
	reload(t, r, true)
	where(cli.StatusFailed, "alice",
		"cannot tell whether user alice@example.org exists and where the mailbox is",
		"Portico itself has on record 1 open session on mbx1 and 0 failed sign-ins")
}

// Failed sign-ins are listed by user and by address, and forgotten by either.
func TestPenaltiesAreListedAndCleared(t *testing.T) {
	testkit.NoLeaks(t)
	s, r := namedSite(t)
	fail := func(user string) {
		c := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
		c.Expect("* OK *")
		c.Send("a LOGIN " + user + " wrong")
		c.Expect("a NO *")
		c.Close()
	}
	list := func(args ...string) (all []admin.Penalty) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.portico(t, cli.StatusFine,
			append([]string{"penalty", "list", "-o", "json"}, args...)...)), &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	fail("alice")
	fail("ALICE")
	fail("nobody")
	failures := func(all []admin.Penalty) (n int) {
		for _, p := range all {
			n += p.Failures
		}
		return n
	}
	if all := list("--user", "alice"); failures(all) != 2 {
		t.Errorf("%+v", all)
	}
	if all := list("--ip", "127.0.0.1"); failures(all) != 3 {
		t.Errorf("%+v", all)
	}
	if got := s.portico(t, cli.StatusFine, "penalty", "clear", "alice"); !strings.Contains(got, "alice@example.org") {
		t.Error(got)
	}
	if all := list("--user", "alice"); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	if all := list(); failures(all) != 3+1 { // those of the address, and of the user who does not exist
		t.Errorf("%+v", all)
	}
	s.portico(t, cli.StatusFailed, "penalty", "clear", "--all")
	s.portico(t, cli.StatusFailed, "penalty", "clear")
	if got := s.portico(t, cli.StatusFine, "penalty", "clear", "bob"); !strings.Contains(got,
		"the directory does not know bob@example.org") {
		t.Error(got)
	}
	s.portico(t, cli.StatusFine, "penalty", "clear", "--all", "--yes")
	if all := list(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// Draining a whole node needs an answer, given by hand or by --yes.
func TestMaintenanceAsks(t *testing.T) {
	testkit.NoLeaks(t)
	s, r := namedSite(t)
	start := func(answer string, args ...string) (int, string) {
		root := cli.New(program)
		var out bytes.Buffer
		root.SetArgs(append([]string{"maintenance", "start", "--drain", "0s", "--admin",
			filepath.Join(s.dir, "admin.sock")}, args...))
		root.SetIn(strings.NewReader(answer))
		root.SetOut(&out)
		root.SetErr(&out)
		if err := root.Execute(); err != nil {
			return cli.StatusFailed, out.String() + err.Error()
		}
		return cli.StatusFine, out.String()
	}
	for _, answer := range []string{"", "no\n", "mbx1\n"} {
		if status, got := start(answer); status != cli.StatusFailed ||
			!strings.Contains(got, "This drains the node "+nodeName()) ||
			!strings.Contains(got, "nothing has changed") {
			t.Errorf("%q: %d, %s", answer, status, got)
		}
		r.asks(t, cli.StatusFine, "component", "get")
	}
	if status, got := start("yes\n"); status != cli.StatusFine || !strings.Contains(got, "ServerWideOffline") {
		t.Errorf("%d, %s", status, got)
	}
	r.asks(t, cli.StatusBad, "component", "get")
}

// Who is asked is said where nobody has named it.
func TestFallbackIsSaid(t *testing.T) {
	if _, missing := client.Default(client.DefaultSocket); missing == nil {
		t.Setenv("PORTICO_ADMIN", "")
		return // a Portico of this machine is asked: there is no fallback
	}
	t.Setenv("PORTICO_ADMIN", "")
	if _, _, errs := command("server", "list"); !strings.Contains(errs, client.DefaultSocket+": ") ||
		!strings.Contains(errs, "asking "+client.DefaultURL) {
		t.Error(errs)
	}
	t.Setenv("PORTICO_ADMIN", filepath.Join(t.TempDir(), "none.sock"))
	if status, _, errs := command("server", "list"); status != cli.StatusFailed ||
		!strings.Contains(errs, "the socket does not exist") || strings.Contains(errs, "asking") {
		t.Error(errs)
	}
}

// The address of a Portico is taken for what it is, and its refusals are words.
func TestAdminAddress(t *testing.T) {
	testkit.NoLeaks(t)
	_, r := namedSite(t)
	address := r.api.address.String()
	for _, admin := range []string{address, "http://" + address, "http://" + address + "/"} {
		if status, out, errs := command("server", "list", "--admin", admin); status != cli.StatusFine ||
			!strings.Contains(out, "mbx1") {
			t.Errorf("%s: %d, %s%s", admin, status, out, errs)
		}
		if status, _, errs := command("server", "block", "mbx1", "--admin", admin); status != cli.StatusFailed ||
			!strings.Contains(errs, "only with a token, a client certificate or over its socket") {
			t.Errorf("%s: %d, %s", admin, status, errs)
		}
	}
	if status, _, errs := command("server", "list", "--admin", "127.0.0.1:1"); status != cli.StatusFailed ||
		!strings.Contains(errs, "nothing listens there") {
		t.Error(errs)
	}
}
