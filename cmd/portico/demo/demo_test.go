package demo_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/cmd/portico/demo"
	"portico/cmd/portico/node"
)

// demoRun is a demo in this process, on free ports.
type demoRun struct {
	out, log *testkit.Log
	signals  chan os.Signal
	ended    chan error
}

func startDemo(t *testing.T, dir string) *demoRun {
	t.Helper()
	d := &demoRun{out: &testkit.Log{}, log: &testkit.Log{}, signals: make(chan os.Signal, 2),
		ended: make(chan error, 1)}
	go func() {
		d.ended <- demo.Run(context.Background(), demo.Options{Dir: dir}, d.out,
			func(file string, started demo.Started) error { return node.ServeDemo(file, d.signals, d.log, started) })
	}()
	testkit.Eventually(t, "the demo to run",
		func() bool { return strings.HasSuffix(d.out.String(), "\n\n") || len(d.ended) > 0 })
	return d
}

func (d *demoRun) stop(t *testing.T) {
	t.Helper()
	d.signals <- syscall.SIGINT
	if err := <-d.ended; err != nil {
		t.Errorf("demo: %v\n%s", err, d.log)
	}
}

// pasted returns the lines to paste by what is said of them. One may be several lines of text.
func (d *demoRun) pasted(t *testing.T) map[string]string {
	t.Helper()
	_, all, ok := strings.Cut(d.out.String(), "To paste into another terminal:\n")
	if !ok {
		t.Fatalf("printed: %s", d.out)
	}
	lines := make(map[string]string)
	for part := range strings.SplitSeq(strings.TrimSpace(all), "\n\n") {
		what, line, _ := strings.Cut(part, ":\n")
		lines[what] = line
	}
	return lines
}

// What the demo prints must work as it is, in a folder of any name.
func TestDemoLines(t *testing.T) {
	testkit.NoLeaks(t)
	testkit.Need(t, "sh", "curl", "openssl", "python3", "grep")
	dir := filepath.Join(t.TempDir(), "it's a folder")
	d := startDemo(t, dir)
	wants := []struct{ what, output string }{
		{"alice's folders", "INBOX"},
		{"her first mail", "Subject: Welcome to the demo"},
		{"bob's first mail", "Received: by mbx2"},
		{"IMAP by hand", "d OK LOGOUT"},
		{"Python", "('OK', [b'1 2'])"},
		{"the metrics", `portico_command_duration_seconds_count{command="FETCH",server="mbx2"}`},
		{"readiness", "ready\n"},
		{"list the sessions", "Session"},
		{"stop a mailbox server", "mailbox server mbx1  running  stopped\n"},
	}
	lines := d.pasted(t)
	if len(lines) != len(wants) {
		t.Errorf("%d lines are printed, %d are tried", len(lines), len(wants))
	}
	for _, want := range wants {
		for what, line := range lines {
			if !strings.HasPrefix(what, want.what) {
				continue
			}
			t.Log(line)
			cmd := exec.CommandContext(testkit.Context(t), "sh", "-c", line)
			cmd.Env = append(os.Environ(), testkit.AsProgram) // the program that it names is this one
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), want.output) {
				t.Errorf("%s: %v\n%s", what, err, out)
			}
			delete(lines, what)
		}
	}
	for what := range lines {
		t.Errorf("not tried: %s", what)
	}
	d.stop(t)
	for _, name := range []string{"portico.yaml", "ca.crt", "portico.crt", "portico.key"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestDemoUsersAreOnBothServers(t *testing.T) {
	d := startDemo(t, t.TempDir())
	d.stop(t)
	for _, user := range []string{"alice", "bob", "carol"} {
		if !strings.Contains(d.out.String(), " "+user+" on mbx") {
			t.Errorf("%s is nowhere", user)
		}
	}
	for _, server := range []string{"mbx1", "mbx2"} {
		if !strings.Contains(d.out.String(), " on "+server) {
			t.Errorf("%s is empty", server)
		}
	}
}

// A server of the demo can be stopped, made silent and mended. Its database moves meanwhile, with the mail, and can
// move back.
func TestDemoFailsOver(t *testing.T) {
	testkit.NoLeaks(t)
	testkit.Need(t, "curl")
	dir := t.TempDir()
	d := startDemo(t, dir)
	defer d.stop(t)
	t.Setenv("PORTICO_ADMIN", filepath.Join(dir, "admin.sock"))
	asks := func(want int, words string) string {
		t.Helper()
		status, out, errs := command(strings.Fields(words)...)
		if status != want {
			t.Errorf("%s: status %d, %s%s", words, status, out, errs)
		}
		return strings.Join(strings.Fields(out+errs), " ")
	}
	status := func(server, want string) bool {
		_, out, _ := command("database", "status", "-o", "json")
		return strings.Contains(strings.Join(strings.Fields(out), ""),
			fmt.Sprintf(`{"database":"db1","server":%q,"status":%q`, server, want))
	}
	for _, c := range []struct{ words, want string }{
		{"database move db1 mbx2", "active copy of db1 mbx1 mbx2"},
		{"server block mbx2 --move", "moved to mbx1"},
		{"server unblock mbx2", "allowed"},
		{"maintenance start mbx2 --yes", "mbx2"},
		{"maintenance stop mbx2", "mbx2"},
		{"demo break mbx1 -o json", `"was": "running", "now": "stopped"`},
	} {
		if got := asks(cli.StatusFine, c.words); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.words, got)
		}
	}
	testkit.Eventually(t, "db1 has moved", func() bool { return status("mbx2", "Mounted") })
	url := regexp.MustCompile("imap://[0-9.:]+/").FindString(d.out.String()) + "INBOX;MAILINDEX=1"
	if text, err := exec.CommandContext(testkit.Context(t), "curl", "-sS", "-u", "carol:demo",
		url).CombinedOutput(); err != nil || !strings.Contains(string(text), "Welcome") {
		t.Errorf("carol's mail: %v, %s", err, text)
	}
	asks(cli.StatusFine, "demo mend mbx1")
	testkit.Eventually(t, "mbx1 answers", func() bool { return status("mbx1", "Healthy") })
	if got := asks(cli.StatusFine, "demo break mbx1 --silent"); !strings.Contains(got, "running silent") {
		t.Error(got)
	}
	testkit.Eventually(t, "mbx1 hangs", func() bool { return status("mbx1", "ServiceDown") })
	for words, want := range map[string]string{
		"demo break mbx9":                    "known: mbx1, mbx2",
		"service upgrade --binary /bin/true": "upgrade a portico serve", // the mailbox servers would end
	} {
		if got := asks(cli.StatusFailed, words); !strings.Contains(got, want) {
			t.Error(got)
		}
	}
}

func TestDemoFolder(t *testing.T) {
	testkit.NoLeaks(t)
	t.Setenv("TMPDIR", t.TempDir())
	startDemo(t, "").stop(t)
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	dir := t.TempDir()
	for range 2 { // its own files are overwritten
		startDemo(t, dir).stop(t)
	}
	file := filepath.Join(dir, "portico.yaml")
	if status, out, errs := command("check", "--config", file); status != cli.StatusFine {
		t.Errorf("check: %d, %s%s", status, out, errs)
	}
	if err := os.WriteFile(file, []byte("precious\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, errs := command("demo", "--dir", dir)
	if text, _ := os.ReadFile(file); status != cli.StatusFailed || !strings.Contains(errs, "not overwritten") ||
		string(text) != "precious\n" {
		t.Errorf("status %d, %s; the file: %s", status, errs, text)
	}
}

func TestDemoPorts(t *testing.T) {
	ln := testkit.Listen(t)
	_, port, _ := strings.Cut(ln.Addr().String(), ":")
	status, _, errs := command("demo", "--imap-port", port, "--imaps-port", "0", "--http-port", "0")
	if status != cli.StatusBad || !strings.Contains(errs,
		"portico: 127.0.0.1:"+port+" is in use by another program") ||
		!strings.Contains(errs, "set --imap-port to another port, or 0 for any free one") {
		t.Errorf("status %d: %s", status, errs)
	}
	if o := fmt.Sprint(demo.IMAPPort, demo.IMAPSPort, demo.HTTPPort); o != "1143 1993 8143" {
		t.Errorf("the demo's ports are %s", o)
	}
}
