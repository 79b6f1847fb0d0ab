package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// accessSite runs a node that knows tokens and certificates. ask runs a command against its address.
func accessSite(t *testing.T) (r *running, ask func(status int, args ...string) string) {
	t.Helper()
	s := newSite(t)
	s.serveMail(t)
	if _, err := s.ca.WriteFile(s.dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ann", "bob", "carl"} {
		cert, err := s.ca.Issue(backendtest.CertOptions{Hosts: []string{name}, Client: true})
		if err == nil {
			_, _, err = cert.WriteFiles(s.dir, name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.certificate(t, "admin", "::1")
	s.put(t, "tokens", "# nobody yet\n")
	r = s.serve(t, s.writeWithout(t, "admin", `admin: {socket: "", address: "[::1]:0", tokens_file: tokens, `+
		`tls: {cert: admin.crt, key: admin.key}, client_ca: ca.crt, client_rights: {ann: change, bob: read}}`+"\n"))
	t.Setenv("PORTICO_CA", filepath.Join(s.dir, "ca.crt"))
	t.Setenv("PORTICO_ADMIN", "https://"+r.api.address.String())
	return r, func(status int, args ...string) string {
		t.Helper()
		got, out, errs := command(args...)
		if got != status {
			t.Errorf("%q: status %d, want %d: %s%s", args, got, status, out, errs)
		}
		return out + errs
	}
}

// A token works from the reload on that reads its line, as far as its right goes, until its line is gone.
func TestTokensFile(t *testing.T) {
	testkit.NoLeaks(t)
	r, ask := accessSite(t)
	file := filepath.Join(r.site.dir, "tokens")
	token := func(name, right string) string {
		out := ask(cli.StatusFine, "token", "new", name, "--right", right, "--file", file)
		r.site.put(t, name+".token", out)
		return filepath.Join(r.site.dir, name+".token")
	}
	deploy, prometheus := token("deploy", "change"), token("prometheus", "read")
	if got := ask(cli.StatusFailed, "server", "list", "--token-file", deploy); !strings.Contains(got,
		"only with a token") {
		t.Errorf("before the reload: %s", got)
	}
	reload := func() {
		t.Helper()
		if err := r.reload(); err != nil {
			t.Error(err)
		}
	}
	reload()
	ask(cli.StatusFine, "server", "block", "mbx1", "--token-file", deploy)
	r.logged(t, `"who":"token deploy"`)
	t.Setenv("PORTICO_TOKEN_FILE", prometheus)
	ask(cli.StatusFine, "server", "list")
	if got := ask(cli.StatusFailed, "server", "unblock", "mbx1"); !strings.Contains(got,
		"token prometheus may not do that here") {
		t.Error(got)
	}
	// A file with a bad line is refused as a whole, and check says which line.
	bad, err := os.ReadFile(deploy)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r.site.put(t, "tokens", string(tokens)+string(bad))
	if err := r.reload(); err == nil || !strings.Contains(err.Error(), "tokens:4: a line is NAME RIGHT HASH") {
		t.Errorf("reload: %v", err)
	}
	if got := ask(cli.StatusBad, "check", "--config", filepath.Join(r.site.dir, "portico.yaml")); !strings.Contains(
		got, "admin.tokens_file: ") || strings.Contains(got, strings.TrimSpace(string(bad))) {
		t.Error(got)
	}
	ask(cli.StatusFine, "server", "list")
	r.site.put(t, "tokens", "")
	reload()
	ask(cli.StatusFailed, "server", "list")
	if strings.Contains(r.log.String(), strings.TrimSpace(string(bad))) {
		t.Error("a token is in the log")
	}
}

// A certificate takes the place of a token.
func TestOperatorsCertificates(t *testing.T) {
	testkit.NoLeaks(t)
	r, ask := accessSite(t)
	as := func(status int, name string, args ...string) string {
		t.Helper()
		file := filepath.Join(r.site.dir, name)
		return ask(status, append(args, "--cert", file+".crt", "--key", file+".key")...)
	}
	as(cli.StatusFine, "ann", "server", "block", "mbx1")
	r.logged(t, `"who":"certificate ann"`)
	as(cli.StatusFine, "bob", "server", "list")
	for name, want := range map[string]string{"bob": "certificate bob may not do that here",
		"carl": "certificate carl may not do that here"} {
		if got := as(cli.StatusFailed, name, "server", "unblock", "mbx1"); !strings.Contains(got, want) {
			t.Error(got)
		}
	}
	ask(cli.StatusFailed, "server", "list")
	r.site.replace(t, "bob: read", "carl: change")
	if err := r.reload(); err != nil {
		t.Fatal(err)
	}
	as(cli.StatusFailed, "bob", "server", "list")
	as(cli.StatusFine, "carl", "server", "unblock", "mbx1")
	if got := as(cli.StatusFailed, "nobody", "server", "list"); !strings.Contains(got, "--cert: open ") {
		t.Error(got)
	}
	t.Setenv("PORTICO_CA", "")
	if got := as(cli.StatusFailed, "ann", "server", "list"); !strings.Contains(got, "--ca or PORTICO_CA names one") {
		t.Error(got)
	}
}
