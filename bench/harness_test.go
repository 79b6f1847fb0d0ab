package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// target is a target on loopback.
func target(t testing.TB, addr string) Target {
	t.Helper()
	resolved, err := Resolve(t.Context(), net.DefaultResolver, addr, false)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// builtInProfile loads a built-in profile.
func builtInProfile(t testing.TB, name string) *Profile {
	t.Helper()
	p, err := LoadProfile(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// someUsers are user1 and so on with the password secret.
func someUsers(n int) []User {
	var users []User
	for i := range n {
		users = append(users, User{Name: fmt.Sprintf("user%d", i+1), Password: "secret"})
	}
	return users
}

// serverUsers are the same users to a server, each with some mail in INBOX.
func serverUsers(users []User) []backendtest.User {
	var all []backendtest.User
	for _, u := range users {
		owner := backendtest.User{Name: u.Name, Password: string(u.Password)}
		for i := range 3 {
			text := fmt.Sprintf("From: a@example.org\r\nSubject: message %d\r\n\r\nHello.\r\n", i)
			owner.Mail = append(owner.Mail, backendtest.Mail{Mailbox: "INBOX", Message: []byte(text)})
		}
		all = append(all, owner)
	}
	return all
}

// mustRun runs and returns the report.
func mustRun(t testing.TB, o Options) *Report {
	t.Helper()
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// table is the report as people read it.
func table(r *Report) string {
	var b strings.Builder
	r.WriteTable(&b)
	return b.String()
}

// rowOf returns the row of a name, or an empty one.
func (r *Report) rowOf(name string) Row {
	for _, row := range r.Rows {
		if row.Name == name {
			return row
		}
	}
	return Row{}
}

// errorsOf returns how many errors of a kind there were.
func (r *Report) errorsOf(kind Kind) ErrorCount {
	for _, e := range r.Errors {
		if e.Kind == kind.String() {
			return e
		}
	}
	return ErrorCount{}
}

// startSink starts a sink without TLS.
func startSink(t testing.TB) string {
	return testkit.Serve(t, backendtest.NewSink(nil))
}

// scripted is a run of the profile against a server that follows scripts, in memory and on a clock of its own: one
// session, as short as it can be.
func scripted(t *testing.T, p *Profile, scripts ...string) (report *Report, server *backendtest.Scripted) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := newMemoryListener()
		var err error
		if server, err = backendtest.StartScripted(listener, nil, scripts...); err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		report = mustRun(t, Options{
			Targets: []Target{{Name: "scripted"}}, Users: someUsers(1), Profile: p, Sessions: 1, RunID: "t",
			Dial:     func(context.Context, netip.Addr, *Target) (net.Conn, error) { return listener.dial() },
			Duration: 300 * time.Millisecond, Timeout: 2 * time.Second, Grace: 3 * time.Second, Rate: 10,
		})
	})
	return report, server
}

// lay writes files below a folder.
func lay(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
