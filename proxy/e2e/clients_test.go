package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

// Programs do the same with Cyrus and Courier through Portico as directly.

// byServer runs a test directly and through Portico, each time as a new user with some mail. What it returns must be
// the same.
func byServer(t *testing.T, messages int, session func(t *testing.T, address, user string) string) {
	for _, s := range []*jailedServer{cyrus, courier} {
		t.Run(s.name, func(t *testing.T) {
			s.need(t)
			f := startFrontEnd(t, options{servers: s.behind()})
			user := s.user(t, messages)
			want := strings.ReplaceAll(session(t, s.address(), user), user, "USER")
			user = s.user(t, messages)
			got := strings.ReplaceAll(session(t, f.plain, user), user, "USER")
			if got != want {
				t.Errorf("%s\n--- directly:\n%s\n--- through Portico:\n%s", difference(got, want),
					clip(want), clip(got))
			}
		})
	}
}

// mbsync fetches mail, uploads mail whose lines look like commands, and fetches again what it has uploaded.
func TestMbsyncWithServers(t *testing.T) {
	testkit.Need(t, "mbsync")
	const own = "Subject: from here\n\nx CREATE INBOX.Evil\ny NOOP\nz LOGOUT\n"
	byServer(t, 12, func(t *testing.T, address, user string) string {
		_, port, err := net.SplitHostPort(address)
		must(t, err)
		first, second := t.TempDir(), t.TempDir()
		sync := func(dir string) {
			config := filepath.Join(dir, "mbsyncrc")
			must(t, os.WriteFile(config, []byte(mbsyncStores(port, "None", "", user, dir)), 0o600))
			program(t, "mbsync", "--config", config, "all")
		}
		sync(first)
		must(t, os.WriteFile(filepath.Join(first, "INBOX", "new", "1.local.mail"), []byte(own), 0o600))
		sync(first)
		sync(second)
		mail := mailIn(t, second)
		if len(mail) != 13 || !slices.Contains(mail, own) {
			t.Errorf("%d messages came back: %q", len(mail), mail)
		}
		return strings.Join(mail, "\n")
	})
}

// mailIn returns the messages of the INBOX below a folder, without what mbsync adds to know them again, sorted.
func mailIn(t *testing.T, dir string) (mail []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "INBOX", "[cn][ue][rw]", "*"))
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		var kept strings.Builder
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "X-TUID: ") {
				kept.WriteString(line)
			}
		}
		mail = append(mail, kept.String())
	}
	slices.Sort(mail)
	return mail
}

// imapflow lists, uploads, fetches, searches, flags, copies, moves and deletes.
func TestImapflow(t *testing.T) {
	testkit.Need(t, "node")
	library, err := os.UserCacheDir()
	must(t, err)
	library = filepath.Join(library, "portico", "npm", "node_modules")
	if _, err := os.Stat(filepath.Join(library, "imapflow")); err != nil {
		testkit.Lack(t, fmt.Errorf("imapflow is missing, scripts/test-deps installs it: %w", err))
	}
	byServer(t, 5, func(t *testing.T, address, user string) string {
		_, port, err := net.SplitHostPort(address)
		must(t, err)
		said := program(t, "node", "testdata/imapflow_session.cjs", filepath.Join(library, "imapflow"), port,
			user, password)
		if !strings.HasSuffix(said, "all done\n") {
			t.Errorf("it said %q", said)
		}
		return said
	})
}
