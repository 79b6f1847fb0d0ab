package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portico/cmd/portico/cli"
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
		{"check --config " + good, cli.StatusFine, "fine", ""},
		{"check --config " + bad, cli.StatusBad, bad + ":2:1: bogus", ""},
		{"check --config " + bad, cli.StatusBad, bad + ":3:10: routing", ""},
		{"check --config " + missing, cli.StatusFailed, "", missing},
		{"check more", cli.StatusFailed, "", "portico: "},
		{"serve --config " + bad, cli.StatusFailed, "", bad + ":2:1: bogus"},
		{"serve --config " + missing, cli.StatusFailed, "", missing},
		{"serve --bogus", cli.StatusFailed, "", "bogus"},
		{"bogus", cli.StatusFailed, "", "bogus"},
		{"version", cli.StatusFine, "portico ", ""},
		{"database pin --config " + good, cli.StatusFailed, "", "routing: single"},
		{"completion bash", cli.StatusFine, "portico", ""},
		{"man", cli.StatusFailed, "", "dir"},
		{"--help", cli.StatusFine, "serve", ""},
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
	if status != cli.StatusFine || !strings.Contains(out, "passwords may reach 0.0.0.0:1143 unencrypted") {
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
				if status, _, errs := command("database", "pin", "--config", before); status != cli.StatusFine {
					t.Fatal(errs)
				}
			case "store":
				if err := os.Mkdir(filepath.Join(site.dir, "data"), 0o700); err != nil {
					t.Fatal(err)
				}
				site.put(t, filepath.Join("data", store.FileName), strings.Repeat("no store", 1000))
			}
			file := site.writeWithout(t, c.without, c.more)
			if status, out, _ := command("check", "--config", file); status != cli.StatusBad ||
				!strings.Contains(out, c.want) {
				t.Errorf("check: status %d: %s", status, out)
			}
			if status, _, errs := command("serve", "--config", file); status != cli.StatusFailed ||
				!strings.Contains(errs, c.want) {
				t.Errorf("serve: status %d: %s", status, errs)
			}
		})
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
		{"pinned", []string{"db1", "db2"}, cli.StatusFine, "db2       no      yes\n"},
		{"pin", []string{"db1", "db2"}, cli.StatusFine, "pinned databases  (none)  db1 db2\n"},
		{"pinned", []string{"db2", "db1"}, cli.StatusFine, "db2       yes     yes\n"},
		{"pinned", []string{"db1", "db2", "db3"}, cli.StatusBad, "db3       no      yes\n"},
		{"pin", []string{"db1", "db2", "db3"}, cli.StatusFine, "pinned databases  db1 db2  db1 db2 db3\n"},
		{"pinned", []string{"db1", "db2", "db3"}, cli.StatusFine, "db3       yes     yes\n"},
	}
	for _, step := range steps {
		status, out, errs := command("database", step.command, "--config", hashed(step.databases...))
		if status != step.status || !strings.Contains(out, step.out) {
			t.Fatalf("%s with %v: status %d, wrote %q and %q", step.command, step.databases, status, out, errs)
		}
	}
	status, _, errs := command("serve", "--config", hashed("db1"))
	if status != cli.StatusFailed || !strings.Contains(errs, "portico database pin") {
		t.Errorf("serve with other databases: status %d, %s", status, errs)
	}
}
