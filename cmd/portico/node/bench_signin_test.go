package node

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// benchLine is a command line of bench run against a listener with TLS of the service.
func (r *running) benchLine(mechanism string, more ...string) []string {
	return append([]string{
		"bench", "run", "--target", r.clients.listeners.addresses()[1].String(), "--server-name", "localhost",
		"--tls", "implicit",
		"--ca", r.site.dir + "/site-ca.crt", "--users", "alice", "--mechanism", mechanism, "--profile", "noop",
		"--sessions", "2", "--duration", "100ms", "--closed", "--id",
	}, more...)
}

// TestBenchByCertificate signs in to Portico by EXTERNAL, with the user's certificate and with another's.
func TestBenchByCertificate(t *testing.T) {
	server := testkit.Dovecot(t, backendtest.DovecotOptions{
		Users: []backendtest.User{{Name: "alice", Password: "x"}}, Masters: map[string]string{"portico": "sesame"},
	})
	site := newSite(t)
	site.server = server.Plain
	siteCA(t, site)
	users := newCA(t)
	if _, err := users.WriteFile(site.dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "bob"} {
		cert, err := users.Issue(backendtest.CertOptions{Hosts: []string{name}, Client: true})
		if err == nil {
			_, _, err = cert.WriteFiles(site.dir, name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	site.put(t, "master.secret", "sesame")
	r := site.serve(t, site.writeWithout(t, "tls",
		"tls: {certificates: [{cert: mail.crt, key: mail.key}], client_ca: ca.crt}\n"+
			"signin: {mode: master, master: {user: portico, password_file: master.secret}}\npenalties: {first: 0s}\n"))
	for name, want := range map[string]int{"{user}": cli.StatusFine, "bob": cli.StatusBad} {
		status, out, errs := command(r.benchLine("external", "--cert", site.dir+"/"+name+".crt", "--key",
			site.dir+"/"+name+".key")...)
		if status != want || !strings.Contains(out, "sign-in by external with ID") {
			t.Errorf("certificate of %s: status %d\n%s%s", name, status, out, errs)
		}
	}
	for more, says := range map[string]string{
		"":                        "EXTERNAL needs TLS and a client certificate",
		"--cert " + "nowhere.crt": "client certificate",
		"--key " + "nowhere.key":  "give cert too",
	} {
		if status, _, errs := command(r.benchLine("external",
			strings.Fields(more)...)...); status != cli.StatusFailed ||
			!strings.Contains(errs, says) {
			t.Errorf("%q: status %d, %s", more, status, errs)
		}
	}
}

// TestBenchByToken signs in through Portico by mechanisms with tokens. No token is in what the tool writes.
func TestBenchByToken(t *testing.T) {
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"active": %v, "user": "alice"}`, r.URL.Query().Get("token") == "the-right-token-of-alice")
	}))
	t.Cleanup(tokens.Close)
	server := testkit.Dovecot(t, backendtest.DovecotOptions{
		Users:      []backendtest.User{{Name: "alice", Password: "x"}},
		Mechanisms: []string{"PLAIN", "XOAUTH2", "OAUTHBEARER"},
		TokenURL:   tokens.URL + "/?token=", QuickFailures: true,
	})
	site := newSite(t)
	site.server = server.Plain
	siteCA(t, site)
	site.put(t, "right", "the-right-token-of-alice\n")
	site.put(t, "wrong", "the-wrong-token-of-alice\n")
	r := site.serve(t, site.write(t, "penalties: {first: 0s}\n"))
	testkit.Eventually(t, "Portico offers the mechanisms of its server", func() bool {
		c := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
		defer c.Close()
		return strings.Contains(c.Expect("* OK *"), "AUTH=OAUTHBEARER")
	})
	for _, mechanism := range []string{"xoauth2", "OAUTHBEARER"} {
		for file, want := range map[string]int{"right": cli.StatusFine, "wrong": cli.StatusBad} {
			for _, form := range []string{"table", "json"} {
				status, out, errs := command(r.benchLine(mechanism, "--password-file", site.dir+"/"+file,
					"-o", form)...)
				if status != want || strings.Contains(out+errs, "-token-of-") ||
					strings.Contains(out+errs, "dG9rZW4") {
					t.Errorf("%s with the %s token: status %d\n%s%s", mechanism, file, status, out, errs)
				}
			}
		}
		if status, _, errs := command(r.benchLine(mechanism)...); status != cli.StatusFailed ||
			!strings.Contains(errs, "no password file") {
			t.Errorf("status %d, %s", status, errs)
		}
	}
}

// siteCA writes the authority of the site's own certificate to site-ca.crt.
func siteCA(t *testing.T, s *site) {
	t.Helper()
	s.put(t, "site-ca.crt", string(s.ca.CertPEM))
}
