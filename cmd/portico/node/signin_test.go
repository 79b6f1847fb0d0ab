package node

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// Users that only Portico knows open their mailboxes on a real server, and nobody else does; when the directory is
// down, nobody is told that the password is wrong.
func TestModeMaster(t *testing.T) {
	server := testkit.Dovecot(t, backendtest.DovecotOptions{
		Users:   []backendtest.User{{Name: "alice", Password: "known to the server alone"}},
		Masters: map[string]string{"portico": "sesame"},
	})
	testkit.NoLeaks(t)
	site := newSite(t)
	site.server = server.Plain
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	site.put(t, "passwords", fmt.Sprintf("alice:%s\nbob:!\n", hash))
	site.put(t, "master.secret", "sesame\n")
	const signin = "signin: {mode: master, master: {user: portico, password_file: master.secret}}\npenalties: " +
		"{first: 0s}\n"
	r := site.serve(t, site.write(t, signin+"directory: {verify: [file: passwords]}\n"))
	for user, want := range map[string]string{"alice": "a OK ", "bob": "a NO [AUTHENTICATIONFAILED] ",
		"carol": "a NO [AUTHENTICATIONFAILED] "} {
		if got := r.tries(t, user); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", user, got)
		}
	}

	site.put(t, "master.secret", "wrong\n")
	r.signals <- syscall.SIGHUP
	r.logged(t, `"message":"reloaded"`)
	if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a NO [UNAVAILABLE] ") {
		t.Errorf("with a master that is refused: %s", got)
	}

	site.put(t, "master.secret", "sesame\n")
	site.put(t, "ldap.secret", "sesame\n")
	site.write(t,
		signin+`directory: {timeout: 1s, verify: [ldap: {urls: ["ldap://127.0.0.1:1"], user_dn: "uid={user}"}]}`+"\n")
	r.signals <- syscall.SIGHUP
	testkit.Eventually(t, "the other verifier in force",
		func() bool { return strings.HasPrefix(r.tries(t, "alice"), "a NO [UNAVAILABLE] ") })
	// Neither the master's password nor a user's is anywhere that the process has written or shows.
	shown := r.log.String()
	for _, path := range []string{"metrics", "api/v1/servers", "api/v1/databases", "api/v1/sessions",
		"api/v1/settings", "api/v1/users/alice", "api/v1/users/bob"} {
		_, body := r.get(t, "/"+path)
		shown += body
	}
	for _, word := range []string{"sesame", "c2VzYW1l", "c2VjcmV0"} { // the last two as base64 has them
		if strings.Contains(shown, word) {
			t.Errorf("%s is shown", word)
		}
	}
	if strings.Contains(strings.ReplaceAll(shown, "master.secret", ""), "secret") {
		t.Error("the user's password is shown")
	}
}

// A database that is down is no wrong password.
func TestDirectoryDown(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	site.put(t, "dsn", "postgres://portico:hidden@127.0.0.1:1/mail")
	for name, source := range map[string]string{
		"SQL":  `{sql: {dsn_file: dsn, query: "SELECT database FROM users WHERE name = {user}"}}`,
		"LDAP": `{ldap: {urls: ["ldap://127.0.0.1:1"], base: dc=x, filter: "(mail={user})"}}`,
	} {
		r := site.serve(t, site.writeWithout(t, "data_dir",
			"data_dir: "+name+"\npenalties: {first: 0s}\ndirectory: {timeout: 1s, sources: ["+source+"]}\n"))
		if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a NO [UNAVAILABLE] ") {
			t.Errorf("%s: %s", name, got)
		}
		r.logged(t, "directory unavailable")
		if strings.Contains(r.log.String(), "hidden") {
			t.Errorf("%s: the database's password is in the log", name)
		}
		r.signals <- syscall.SIGTERM
		r.stopped(t)
	}
}

// A server that is down is left alone after some sign-ins, and everybody who asks can see it.
func TestBreaker(t *testing.T) {
	site := newSite(t)
	site.server = "127.0.0.1:1"
	r := site.serve(t, site.write(t, "penalties: {first: 0s}\nbreaker: {failures: 2, first: 5m, longest: 5m}\n"))
	for range 3 {
		if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a NO [UNAVAILABLE] ") {
			t.Error(got)
		}
	}
	r.logged(t, `"result":"server_breaker_open"`)
	if _, metrics := r.get(t, "/metrics"); !strings.Contains(metrics, `portico_server_breaker_open{server="mbx1"} 1`) {
		t.Error("/metrics does not tell")
	}
	status, out, _ := command("server", "list", "-o", "list", "--admin", site.dir+"/admin.sock")
	if status != cli.StatusBad || !strings.Contains(out, "BreakerOpen     : yes") {
		t.Errorf("status %d:\n%s", status, out)
	}
	before := strings.Count(r.log.String(), `"result":"server_breaker_open"`)
	r.signals <- syscall.SIGHUP // changes nothing about it
	r.logged(t, `"message":"reloaded"`)
	r.tries(t, "alice")
	if n := strings.Count(r.log.String(), `"result":"server_breaker_open"`); n != before+1 {
		t.Errorf("after a reload: %d left alone, %d before it", n, before)
	}
}
