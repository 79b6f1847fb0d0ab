package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// Users that only Portico knows open their mailboxes on a real server, and nobody else does; when the directory is down, nobody is told
// that the password is wrong.
func TestModeMaster(t *testing.T) {
	server := testkit.Dovecot(t, backendtest.DovecotOptions{
		Users:   []backendtest.User{{Name: "alice", Password: "known to the server alone"}},
		Masters: map[string]string{"portico": "sesame"},
	})
	testkit.NoLeaks(t)
	site := newSite(t)
	site.server = server.Plain
	put := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(site.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	put("passwords", fmt.Sprintf("alice:%s\nbob:!\n", hash))
	put("master.secret", "sesame\n")
	const signin = "signin: {mode: master, master: {user: portico, password_file: master.secret}}\npenalties: {first: 0s}\n"
	r := site.serve(t, site.write(t, signin+"directory: {verify: [file: passwords]}\n"))
	for user, want := range map[string]string{"alice": "a OK ", "bob": "a NO [AUTHENTICATIONFAILED] ", "carol": "a NO [AUTHENTICATIONFAILED] "} {
		if got := r.tries(t, user); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", user, got)
		}
	}

	put("master.secret", "wrong\n")
	r.signals <- syscall.SIGHUP
	r.logged(t, `"message":"reloaded"`)
	if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a NO [UNAVAILABLE] ") {
		t.Errorf("with a master that is refused: %s", got)
	}

	put("master.secret", "sesame\n")
	put("ldap.secret", "sesame\n")
	site.write(t, signin+`directory: {timeout: 1s, verify: [ldap: {urls: ["ldap://127.0.0.1:1"], user_dn: "uid={user}"}]}`+"\n")
	r.signals <- syscall.SIGHUP
	testkit.Eventually(t, "the other verifier in force", func() bool { return strings.HasPrefix(r.tries(t, "alice"), "a NO [UNAVAILABLE] ") })
	if strings.Contains(r.log.String(), "sesame") {
		t.Error("the master's password is in the log")
	}
}

// A database that is down is no wrong password.
func TestDirectoryDown(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	if err := os.WriteFile(filepath.Join(site.dir, "dsn"), []byte("postgres://portico:hidden@127.0.0.1:1/mail"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]string{
		"SQL":  `{sql: {dsn_file: dsn, query: "SELECT database FROM users WHERE name = {user}"}}`,
		"LDAP": `{ldap: {urls: ["ldap://127.0.0.1:1"], base: dc=x, filter: "(mail={user})"}}`,
	} {
		r := site.serve(t, site.writeWithout(t, "data_dir", "data_dir: "+name+"\npenalties: {first: 0s}\ndirectory: {timeout: 1s, sources: ["+source+"]}\n"))
		if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a NO [UNAVAILABLE] ") {
			t.Errorf("%s: %s", name, got)
		}
		r.logged(t, "directory does not answer")
		if strings.Contains(r.log.String(), "hidden") {
			t.Errorf("%s: the database's password is in the log", name)
		}
		r.signals <- syscall.SIGTERM
		r.stopped(t)
	}
}
