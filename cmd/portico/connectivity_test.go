package main

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
	site := newSite(t)
	cert, err := site.ca.Issue(backendtest.CertOptions{Hosts: []string{"localhost", "127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	server := testkit.Dovecot(t, backendtest.DovecotOptions{Certificate: cert, QuickFailures: true,
		Users: []backendtest.User{{Name: "tester", Password: "right"}}})
	site.put(t, "ca.crt", string(site.ca.CertPEM))
	site.put(t, "right", "right\n")
	site.put(t, "wrong", "wrong\n")
	test := func(status int, address, password string, more ...string) string {
		t.Helper()
		args := append([]string{"test", "imap", address, "--user", "tester", "--password-file",
			filepath.Join(site.dir, password)}, more...)
		got, out, errs := command(args...)
		if got != status {
			t.Errorf("%q: status %d, want %d\n%s%s", args, got, status, out, errs)
		}
		return out + errs
	}
	ca := []string{"--ca", filepath.Join(site.dir, "ca.crt")}
	for kind, address := range map[string]string{"ssl": server.TLS, "tls": server.Plain, "plaintext": server.Plain} {
		got := test(statusFine, address, "right", append(ca, "--connection-type", kind, "-o", "list")...)
		for _, words := range []string{"Result         : Success", "ConnectionType : " + kind, "logon ", "append ",
			"search ", "delete "} {
			if !strings.Contains(got, words) {
				t.Errorf("%s: no %q in\n%s", kind, words, got)
			}
		}
	}
	var left []string
	filepath.WalkDir(filepath.Join(server.Dir, "mail", "tester"),
		func(path string, entry os.DirEntry, err error) error {
			if parent := filepath.Base(filepath.Dir(path)); err == nil && entry.Type().IsRegular() &&
				(parent == "cur" || parent == "new") {
				left = append(left, path)
			}
			return nil
		})
	if len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if got := test(statusFine, server.TLS, "right",
		append(ca, "--light-mode", "-o", "list")...); strings.Contains(got, "append") {
		t.Errorf("light:\n%s", got)
	}
	if got := test(statusBad, server.TLS, "wrong", ca...); !strings.Contains(got, "Failure") ||
		!strings.Contains(got, "AUTHENTICATIONFAILED") {
		t.Errorf("wrong password:\n%s", got)
	}
	if got := test(statusBad, server.TLS, "right"); !strings.Contains(got, "certificate") {
		t.Errorf("unknown authority:\n%s", got)
	}
	if got := test(statusBad, server.TLS, "right",
		append(ca, "--server-name", "other.example.org")...); !strings.Contains(got, "certificate is valid for") {
		t.Errorf("wrong name:\n%s", got)
	}
	test(statusFine, server.TLS, "right", "--trust-any-ssl-certificate", "--light-mode")
	test(statusBad, "127.0.0.1:1", "right", "--connection-type", "plaintext")
	test(statusFailed, server.TLS, "missing")
	test(statusFailed, server.TLS, "right", "--connection-type", "udp")
}
