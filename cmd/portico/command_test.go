package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"portico/configs/store"
)

func TestExitStatus(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("listeners: []\nbogus: 1\nrouting: round\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := newSite(t).write(t, "")
	missing := filepath.Join(dir, "missing.yaml")
	for _, c := range []struct {
		args     string
		status   int
		out, err string // part of what is written
	}{
		{"check --config " + good, statusFine, "fine", ""},
		{"check --config " + bad, statusBad, bad + ":2:1: bogus", ""},
		{"check --config " + bad, statusBad, bad + ":3:10: routing", ""},
		{"check --config " + missing, statusFailed, "", missing},
		{"check more", statusFailed, "", "portico: "},
		{"serve --config " + bad, statusFailed, "", bad + ":2:1: bogus"},
		{"serve --config " + missing, statusFailed, "", missing},
		{"serve --bogus", statusFailed, "", "bogus"},
		{"bogus", statusFailed, "", "bogus"},
		{"version", statusFine, "portico ", ""},
		{"database pin --config " + good, statusFailed, "", "routing: single"},
		{"completion bash", statusFine, "portico", ""},
		{"man", statusFailed, "", "dir"},
		{"--help", statusFine, "serve", ""},
	} {
		status, out, errs := command(strings.Fields(c.args)...)
		if status != c.status || !strings.Contains(out, c.out) || !strings.Contains(errs, c.err) {
			t.Errorf("%s: status %d, wrote %q and %q; want %d with %q and %q", c.args, status, out, errs, c.status,
				c.out, c.err)
		}
	}
}

func TestCheckShowsWarnings(t *testing.T) {
	site := newSite(t)
	file := site.write(t, "settings: {login_type: plain_text_login}\n")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	open := strings.ReplaceAll(string(text), `"127.0.0.1:0", tls: starttls`, `"0.0.0.0:1143", tls: starttls`)
	if err := os.WriteFile(file, []byte(open), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, _ := command("check", "--config", file)
	if status != statusFine || !strings.Contains(out, "passwords may reach 0.0.0.0:1143 unencrypted") {
		t.Errorf("status %d: %s", status, out)
	}
}

// What a start refuses, check reports.
func TestCheckReportsWhatAStartRefuses(t *testing.T) {
	for name, c := range map[string]struct{ without, more, want string }{
		"master credential": {"", "signin: {master: {user: m, password_file: none}}\n", "none"},
		"admin token": {"admin", "admin: {socket: admin.sock, address: \"[::1]:0\", token_file: none}\n",
			"none"},
		"pinned databases": {"databases",
			"routing: hash\ndatabases: {db1: {copies: [mbx1]}, db2: {copies: [mbx1]}}\n", "pin"},
		"store": {"", "", "data_dir"},
		"secret of a hook": {"databases",
			"databases: {db1: {copies: [mbx1], activate: {url: \"http://127.0.0.1:1\", token_file: none}}}\n", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			site := newSite(t)
			switch name {
			case "pinned databases":
				before := site.writeWithout(t, "databases", "routing: hash\ndatabases: {db1: {copies: [mbx1]}}\n")
				if status, _, errs := command("database", "pin", "--config", before); status != statusFine {
					t.Fatal(errs)
				}
			case "store":
				if err := os.Mkdir(filepath.Join(site.dir, "data"), 0o700); err != nil {
					t.Fatal(err)
				}
				site.put(t, filepath.Join("data", store.FileName), strings.Repeat("no store", 1000))
			}
			file := site.writeWithout(t, c.without, c.more)
			if status, out, _ := command("check", "--config", file); status != statusBad ||
				!strings.Contains(out, c.want) {
				t.Errorf("check: status %d: %s", status, out)
			}
			if status, _, errs := command("serve", "--config", file); status != statusFailed ||
				!strings.Contains(errs, c.want) {
				t.Errorf("serve: status %d: %s", status, errs)
			}
		})
	}
}

// An error shows no control characters, and turns no text around.
func TestErrorsAreVisible(t *testing.T) {
	status, _, errs := command("check", "--config", "no\x1b[2J\u202efile")
	if status != statusFailed || !strings.Contains(errs, `no\x1b[2J\xe2\x80\xaefile`) ||
		!strings.HasSuffix(errs, "\n") {
		t.Errorf("status %d: %q", status, errs)
	}
}

func TestManualPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man")
	if status, _, errs := command("man", "--dir", dir); status != statusFine {
		t.Fatal(errs)
	}
	if _, help, _ := command("--help"); strings.Contains(help, "\n  man ") {
		t.Error("operators are offered the command that writes manual pages")
	}
	for page, words := range map[string]string{
		"portico.1": "front door", "portico-serve.1": "SIGHUP", "portico-check.1": "mistakes",
		"portico-database-pin.1": "data_dir",
		"portico-demo.1":         "loopback", "portico-completion-bash.1": "bash",
	} {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil || !strings.Contains(string(text), words) {
			t.Errorf("%s: %v, does not say %q", page, err, words)
		}
	}
}

// The set of hashed databases changes by command alone.
func TestDatabasePin(t *testing.T) {
	site := newSite(t)
	hashed := func(names ...string) string {
		lines := "routing: hash\ndatabases:\n"
		for _, name := range names {
			lines += "  " + name + ": {copies: [mbx1]}\n"
		}
		return site.writeWithout(t, "databases", lines)
	}
	steps := []struct {
		command   string
		databases []string
		status    int
		out       string
	}{
		{"pinned", []string{"db1", "db2"}, statusFine, "db2       no      yes\n"},
		{"pin", []string{"db1", "db2"}, statusFine, "pinned databases  (none)  db1 db2\n"},
		{"pinned", []string{"db2", "db1"}, statusFine, "db2       yes     yes\n"},
		{"pinned", []string{"db1", "db2", "db3"}, statusBad, "db3       no      yes\n"},
		{"pin", []string{"db1", "db2", "db3"}, statusFine, "pinned databases  db1 db2  db1 db2 db3\n"},
		{"pinned", []string{"db1", "db2", "db3"}, statusFine, "db3       yes     yes\n"},
	}
	for _, step := range steps {
		status, out, errs := command("database", step.command, "--config", hashed(step.databases...))
		if status != step.status || !strings.Contains(out, step.out) {
			t.Fatalf("%s with %v: status %d, wrote %q and %q", step.command, step.databases, status, out, errs)
		}
	}
	status, _, errs := command("serve", "--config", hashed("db1"))
	if status != statusFailed || !strings.Contains(errs, "portico database pin") {
		t.Errorf("serve with other databases: status %d, %s", status, errs)
	}
}

// A mistyped command is an error that names the nearest one, in each place of the tree. It is no call for help, which
// is a success.
func TestMistypedCommands(t *testing.T) {
	tried := 0
	var walk func(cmd *cobra.Command, path []string)
	walk = func(cmd *cobra.Command, path []string) {
		for _, below := range cmd.Commands() {
			if below.Hidden {
				continue
			}
			name := below.Name()
			for _, typed := range []string{name + name[len(name)-1:], name[:len(name)-1] + "_", "\x1b" + name} {
				status, out, errs := command(append(slices.Clone(path), typed)...)
				if status != statusFailed || out != "" || !strings.Contains(errs, "did you mean") ||
					strings.Contains(errs, "\x1b") {
					t.Errorf("%q %q: %d, %s%s", path, typed, status, out, errs)
				}
				if typed == name+name[len(name)-1:] && !strings.Contains(errs, `did you mean "`+name+`"`) {
					t.Errorf("%q %q: %s", path, typed, errs)
				}
				tried++
			}
			if below.HasSubCommands() {
				walk(below, append(slices.Clone(path), name))
			}
		}
	}
	walk(newRoot(), nil)
	if tried < 150 {
		t.Errorf("%d were tried", tried)
	}
	for _, args := range [][]string{{"--bogus"}, {"health", "--bogus"}, {"health", "--bogus", "get"},
		{"--bogus", "health", "get"}} {
		if status, out, errs := command(args...); status != statusFailed || out != "" ||
			!strings.Contains(errs, "--bogus") {
			t.Errorf("%q: %d, %s%s", args, status, out, errs)
		}
	}
	for _, args := range [][]string{{}, {"--help"}, {"health"}, {"health", "--help"}, {"help", "health"},
		{"health", "--help", "gett"}} {
		if status, out, errs := command(args...); status != statusFine || !strings.Contains(out, "Usage:") ||
			errs != "" {
			t.Errorf("%q: %d, %s%s", args, status, out, errs)
		}
	}
}
