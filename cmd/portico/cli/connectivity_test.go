package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// Against a real server, by each kind of connection: it works, says how long each step took, and leaves nothing
// behind; and what does not work is said.
func TestConnectivity(t *testing.T) {
	testkit.NoLeaks(t)
	dir := t.TempDir()
	authority, err := backendtest.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := authority.Issue(backendtest.CertOptions{Hosts: []string{"localhost", "127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	server := testkit.Dovecot(t, backendtest.DovecotOptions{Certificate: cert, QuickFailures: true,
		Users: []backendtest.User{{Name: "tester", Password: "right"}}})
	for name, content := range map[string]string{"ca.crt": string(authority.CertPEM), "right": "right\n",
		"wrong": "wrong\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	test := func(status int, address, password string, more ...string) string {
		t.Helper()
		args := append([]string{"test", "imap", address, "--user", "tester", "--password-file",
			filepath.Join(dir, password)}, more...)
		got, out, errs := command(args...)
		if got != status {
			t.Errorf("%q: status %d, want %d\n%s%s", args, got, status, out, errs)
		}
		return out + errs
	}
	ca := []string{"--ca", filepath.Join(dir, "ca.crt")}
	for kind, address := range map[string]string{"ssl": server.TLS, "tls": server.Plain, "plaintext": server.Plain} {
		got := test(StatusFine, address, "right", append(ca, "--connection-type", kind, "-o", "list")...)
		for _, words := range []string{"Result         : Success", "ConnectionType : " + kind, "logon ", "append ",
			"search ", "delete "} {
			if !strings.Contains(got, words) {
				t.Errorf("%s: no %q in\n%s", kind, words, got)
			}
		}
	}
	var left []string
	folders := 0
	err = filepath.WalkDir(filepath.Join(server.Dir, "mail", "tester"),
		func(path string, entry os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && entry.Name() == "cur" {
				folders++
			}
			if parent := filepath.Base(filepath.Dir(path)); entry.Type().IsRegular() &&
				(parent == "cur" || parent == "new") {
				left = append(left, path)
			}
			return nil
		})
	if err != nil || folders == 0 || len(left) > 0 {
		t.Errorf("left behind in %d folders: %q, %v", folders, left, err)
	}
	if got := test(StatusFine, server.TLS, "right",
		append(ca, "--light-mode", "-o", "list")...); strings.Contains(got, "append") {
		t.Errorf("light:\n%s", got)
	}
	if got := test(StatusBad, server.TLS, "wrong", ca...); !strings.Contains(got, "Failure") ||
		!strings.Contains(got, "AUTHENTICATIONFAILED") {
		t.Errorf("wrong password:\n%s", got)
	}
	if got := test(StatusBad, server.TLS, "right"); !strings.Contains(got, "certificate") {
		t.Errorf("unknown authority:\n%s", got)
	}
	if got := test(StatusBad, server.TLS, "right",
		append(ca, "--server-name", "other.example.org")...); !strings.Contains(got, "certificate is valid for") {
		t.Errorf("wrong name:\n%s", got)
	}
	test(StatusFine, server.TLS, "right", "--trust-any-ssl-certificate", "--light-mode")
	test(StatusBad, "127.0.0.1:1", "right", "--connection-type", "plaintext")
	test(StatusFailed, server.TLS, "missing")
	test(StatusFailed, server.TLS, "right", "--connection-type", "udp")
}
