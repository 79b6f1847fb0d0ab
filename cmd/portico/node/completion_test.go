package node

import (
	"path/filepath"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// A shell completes the names that a running Portico has, by what the arguments and flags of a command are.
func TestCompletion(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	file := w.config(t, healthMailboxes)
	w.replace(t, "db1: {copies: [mbx1]}", "db1: {copies: [mbx1, mbx2]}")
	r := w.serve(t, file)
	session := openSession(t, r)
	socket := filepath.Join(w.dir, "admin.sock")
	r.asks(t, cli.StatusFine, "log", "on", "--user", "anna", "--for", "1m")

	const noFiles, noSpace, files = ":4", ":6", ":0" // cobra's ShellCompDirective
	for _, c := range []struct{ line, want, directive string }{
		{"server block ", "mbx1 mbx2", noFiles},
		{"server block mbx2", "mbx2", noFiles},
		{"server block mbx1 ", "", noFiles},
		{"server policy mbx1 ", "Blocked Unrestricted reset", noFiles},
		{"database move db1 ", "mbx1 mbx2", noFiles},
		{"user move anna db", "db1 db2", noFiles},
		{"user kick an", "anna", noFiles},
		{"user kick bob", "", noFiles},
		{"user kick 'a", "", noFiles},
		{"session show ", session, noFiles},
		{"session list --user a", "anna", noFiles},
		{"session list --server ", "mbx1 mbx2", noFiles},
		{"session list --server=mbx2", "mbx2", noFiles},
		{"session slow --command SEA", "SEARCH", noFiles},
		{"component get Imap", "ImapProxy", noFiles},
		{"log off ", "r1", noFiles},
		{"health get IMAP.Prox", "IMAP.Proxy IMAP.Proxy/ImapProxyTestMonitor", noFiles},
		{"probe run IMAP/ImapC", "IMAP/ImapCTPProbe/db1 IMAP/ImapCTPProbe/db2", noFiles},
		{"runbook deep ", "db1 db2", noFiles},
		{"settings get max_command", "max_command_size max_commands_burst max_commands_per_second", noFiles},
		{"settings set Bogus", "", noSpace},
		{"settings set max_command_s", "max_command_size=", noSpace},
		{"settings set banner=x max_command_s", "max_command_size=", noSpace},
		{"store backup ", "", files},
	} {
		args, from := strings.Split(c.line, " "), socket
		if c.line == "server block mbx2" { // the flags of the line say which Portico is asked
			args, from = append(args[:2], "--admin", socket, args[2]), socket+".none"
		}
		t.Setenv("PORTICO_ADMIN", from)
		status, out, errs := command(append([]string{"__completeNoDesc"}, args...)...)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		offered, directive := lines[:len(lines)-1], lines[len(lines)-1]
		if got := strings.Join(offered, " "); status != cli.StatusFine || !strings.HasPrefix(got, c.want) ||
			c.want == "" && got != "" || directive != c.directive {
			t.Errorf("%q: status %d, %q, directive %s, want %q, %s\n%s", c.line, status, got, directive, c.want,
				c.directive, errs)
		}
	}
}

// A Portico that does not answer costs nothing but its names: the shell still completes, and prints no error.
func TestCompletionWithoutPortico(t *testing.T) {
	t.Setenv("PORTICO_ADMIN", filepath.Join(t.TempDir(), "none.sock"))
	for line, want := range map[string]string{
		"server block ":                "",
		"server bl":                    "block",
		"settings get max_command_siz": "max_command_size",
	} {
		status, out, errs := command(append([]string{"__completeNoDesc"}, strings.Split(line, " ")...)...)
		offered, _, _ := strings.Cut(out, ":")
		if status != cli.StatusFine || strings.TrimSpace(offered) != want || strings.Contains(errs, "portico:") {
			t.Errorf("%q: %d, %q, %q", line, status, out, errs)
		}
	}
}
