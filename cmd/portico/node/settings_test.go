package node

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// settings runs a command of the settings and returns what it prints.
func (r *running) settings(t testing.TB, status int, args ...string) string {
	t.Helper()
	args = append(args, "--admin", filepath.Join(r.site.dir, "admin.sock"))
	got, out, errs := command(args...)
	if got != status {
		t.Errorf("%v: status %d, %s%s", args, got, out, errs)
	}
	return out + errs
}

func (r *running) banner(t *testing.T, want string) {
	t.Helper()
	c := testkit.Dial(t, r.clients.listeners.addresses()[0].String(), nil)
	defer c.Close()
	c.Expect("* OK * " + want)
}

// A change is in force at once, beats the file across reload and restart, and ends with a reset.
func TestSettings(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	file := site.write(t, "settings: {banner: Of the file.}\n")
	r := site.serve(t, file)
	live := r.signIn(t)
	if got := r.settings(t, cli.StatusFine, "settings", "get", "Banner", "MaxConnectionsPerUser"); strings.Count(got,
		"\n") != 3 || !strings.Contains(got, "Of the file.") {
		t.Errorf("get:\n%s", got)
	}
	r.settings(t, cli.StatusFine, "config", "diff")

	r.settings(t, cli.StatusFine, "settings", "set", "Banner=Set now.", "max_connections_per_user=1",
		"LoginType=PlainTextLogin")
	r.banner(t, "Set now.")
	live.Command("b", "NOOP")
	c := testkit.Dial(t, r.clients.listeners.addresses()[0].String(), nil)
	c.Expect("* OK *")
	c.Send("a LOGIN alice secret") // taken without TLS now, and one too many
	c.Expect("a NO [LIMIT] *")
	c.Close()
	r.logged(t, "settings changed by an operator")
	if got := r.settings(t, cli.StatusBad, "config", "diff", "-o", "list"); !strings.Contains(got,
		"Running  : Set now.\nFile     : Of the file.\nAt start : Set now.") {
		t.Errorf("diff:\n%s", got)
	}

	r.signals <- syscall.SIGHUP
	r.logged(t, `"message":"reloaded"`)
	r.banner(t, "Set now.")
	if status, out, _ := command("check", "--config", file); status != cli.StatusFine ||
		!strings.Contains(out, "settings.banner: the stored value Set now. overrides the file's Of the file.") {
		t.Errorf("check beside a running Portico: status %d, %s", status, out)
	}
	live.Close()
	r.signals <- syscall.SIGTERM
	r.stopped(t)
	if status, out, _ := command("check", "--config", file); status != cli.StatusFine ||
		!strings.Contains(out, "settings.login_type: the stored value plain_text_login overrides") {
		t.Errorf("check: status %d, %s", status, out)
	}

	r = site.serve(t, file)
	r.banner(t, "Set now.")
	r.logged(t, "a stored setting overrides the file")
	r.settings(t, cli.StatusFine, "settings", "reset", "Banner")
	r.banner(t, "Of the file.")
	r.settings(t, cli.StatusFine, "settings", "reset", "--all")
	r.settings(t, cli.StatusFine, "config", "diff")
}

// What cannot be is refused, with the name and the range; and nothing of the rest is done.
func TestBadSettings(t *testing.T) {
	site := newSite(t)
	r := site.serve(t, site.write(t, ""))
	for arg, want := range map[string]string{
		"max_connections=0":        "settings.max_connections: must be in the range 1..2147483647",
		"max_connections=many":     "settings.max_connections",
		"max_conections=5":         "did you mean max_connections?",
		"banner=[CAPABILITY x]":    "must not begin with [",
		"banner=":                  "must not be empty",
		"login_type=none":          "must be one of",
		"max_connections":          "NAME=VALUE",
		"proxy_target_port=100000": "settings.proxy_target_port",
	} {
		if got := r.settings(t, cli.StatusFailed, "settings", "set", "max_command_size=2048",
			arg); !strings.Contains(got, want) {
			t.Errorf("%s: %s", arg, got)
		}
	}
	r.settings(t, cli.StatusFailed, "settings", "reset")
	r.settings(t, cli.StatusFailed, "settings", "reset", "nothing")
	r.settings(t, cli.StatusFine, "config", "diff")
	r.banner(t, "Portico is ready.")
}

// A stored setting that this version does not take any more does not keep it from starting.
func TestStaleSettings(t *testing.T) {
	site := newSite(t)
	file := site.write(t, "")
	r := site.serve(t, file)
	if _, err := r.store.site.CompareAndSet(t.Context(), "settings", 0,
		[]byte(`{"banner":"Kept.","max_connections":"-5","gone":"x"}`)); err != nil {
		t.Fatal(err)
	}
	r.signals <- syscall.SIGTERM
	r.stopped(t)
	r = site.serve(t, file)
	r.banner(t, "Kept.")
	r.logged(t, "stored setting not usable")
	r.settings(t, cli.StatusFine, "settings", "set", "max_command_size=2048")
}

// Certificate errors can be tolerated, and enforced again, while it runs.
func TestEnforceCertificateErrors(t *testing.T) {
	foreign, err := backendtest.NewCA("foreign")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := foreign.Issue(backendtest.CertOptions{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	server := testkit.Dovecot(t,
		backendtest.DovecotOptions{Users: []backendtest.User{{Name: "alice", Password: "secret"}}, Certificate: cert})
	testkit.NoLeaks(t)
	site := newSite(t)
	site.server = server.TLS
	file := site.write(t, "penalties: {first: 0s}\nbreaker: {failures: 0}\n")
	site.replace(t, "tls: none}}", "tls: implicit}}")
	r := site.serve(t, file)
	expect := func(want string) {
		t.Helper()
		if got := r.tries(t, "alice"); !strings.HasPrefix(got, want) {
			t.Error(got)
		}
	}
	expect("a NO [UNAVAILABLE] ")
	r.settings(t, cli.StatusFine, "settings", "set", "EnforceCertificateErrors=false")
	expect("a OK ")
	expect("a OK ")
	if n := strings.Count(r.log.String(), "is not valid, connection used anyway"); n != 1 {
		t.Errorf("the server's certificate was told %d times", n)
	}
	r.settings(t, cli.StatusFine, "settings", "reset", "--all")
	expect("a NO [UNAVAILABLE] ")
}

// A user who sends too many commands waits, as soon as a setting says so.
func TestCommandsPerSecond(t *testing.T) {
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	c := r.signIn(t)
	r.settings(t, cli.StatusFine, "settings", "set", "max_commands_per_second=50", "max_commands_burst=1")
	for range 5 {
		c.Command("b", "NOOP")
	}
	_, metrics := r.get(t, "/metrics")
	if strings.Contains(metrics, `portico_sessions_throttled_total{server="mbx1"} 0`) ||
		!strings.Contains(metrics, "portico_sessions_throttled_total") {
		t.Error("nobody was made to wait")
	}
}

// A change over HTTP is one line in the log, with who, from where, and the values before and after.
func TestChangesAreLogged(t *testing.T) {
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	socket := filepath.Join(site.dir, "admin.sock")
	for _, args := range []string{"settings set banner=Hi.", "server block mbx1", "server policy mbx1 Blocked",
		"log on --user ann --for 1m",
		"log off r1", "settings reset banner", "user kick ann", "penalty clear --ip 192.0.2.1"} {
		if status, _, errs := command(append(strings.Fields(args), "--admin", socket)...); status == cli.StatusFailed {
			t.Fatalf("%s: %s", args, errs)
		}
	}
	r.logged(t, `"request":"POST /api/v1/settings","status":200,"asked":{"set":{"banner":"Hi."}},"old":{"banner":"Portico is ready."},"new":{"banner":"Hi."}`)
	r.logged(t, `"asked":{},"old":{"activation on mbx1":"allowed"},"new":{"activation on mbx1":"blocked"}`)
	r.logged(t, `"old":"Unrestricted","new":"Blocked"`)
	r.logged(t, `"old":{"rule r1":null},"new":{"rule r1":{"id":"r1",`)
	r.logged(t, `"user":"ann"}},"new":{"rule r1":null}`)
	r.logged(t, `"old":{"banner":"Hi."},"new":{"banner":"Portico is ready."}`)
	r.logged(t, `"old":{"sessions":[]},"new":{"sessions":[]}`)
	r.logged(t, `"old":{"penalties":[]},"new":{"penalties":[]}`)
	r.logged(t, `"from":"`+socket+`, process `)
}
