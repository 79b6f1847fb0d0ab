package node

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// site is a folder with a configuration and what it names, in front of one mailbox server.
type site struct {
	dir    string
	ca     *backendtest.CA
	server string // address of the mailbox server
}

// newSite makes a site whose mailbox server does not run; see serveMail.
func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), server: "127.0.0.1:1"}
	var err error
	if s.ca, err = backendtest.NewCA("test"); err != nil {
		t.Fatal(err)
	}
	s.certificate(t, "mail", "localhost", "127.0.0.1")
	return s
}

// certificate writes NAME.crt and NAME.key.
func (s *site) certificate(t testing.TB, name string, hosts ...string) {
	t.Helper()
	cert, err := s.ca.Issue(backendtest.CertOptions{Hosts: hosts})
	if err == nil {
		_, _, err = cert.WriteFiles(s.dir, name)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// put writes a file of the site.
func (s *site) put(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace changes what the configuration has.
func (s *site) replace(t testing.TB, old, new string) {
	t.Helper()
	file := filepath.Join(s.dir, "portico.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("the configuration has no %q", old)
	}
	s.put(t, "portico.yaml", strings.Replace(string(text), old, new, 1))
}

// serveMail starts the mailbox server: alice, password secret.
func (s *site) serveMail(t testing.TB) {
	t.Helper()
	server, err := backendtest.NewMemory(backendtest.MemoryOptions{Users: []backendtest.User{{Name: "alice",
		Password: "secret"}}})
	if err != nil {
		t.Fatal(err)
	}
	s.server = testkit.Serve(t, server)
}

// serveSilence starts a mailbox server that takes every sign-in and answers nothing after it.
func (s *site) serveSilence(t testing.TB) {
	t.Helper()
	ln := testkit.Listen(t)
	s.server = ln.Addr().String()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go silent(conn)
		}
	}()
}

func silent(conn net.Conn) {
	defer conn.Close()
	fmt.Fprint(conn, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\r\n")
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		tag, rest, _ := strings.Cut(lines.Text(), " ")
		if verb, _, _ := strings.Cut(rest, " "); verb == "LOGIN" || verb == "AUTHENTICATE" {
			fmt.Fprintf(conn, "%s OK [CAPABILITY IMAP4rev1] signed in\r\n", tag)
		}
	}
}

// write writes portico.yaml with further lines, and returns its path.
func (s *site) write(t testing.TB, more string) string {
	t.Helper()
	return s.writeWithout(t, "", more)
}

// writeWithout is write, with one section of the usual file left out.
func (s *site) writeWithout(t testing.TB, section, more string) string {
	t.Helper()
	var text strings.Builder
	for _, part := range []struct{ key, value string }{
		{"listeners", `[{address: "127.0.0.1:0", tls: starttls}, {address: "localhost:0", tls: implicit}]`},
		{"tls", "{certificates: [{cert: mail.crt, key: mail.key}]}"},
		{"admin", `{socket: admin.sock, address: "[::1]:0"}`},
		{"mailbox_servers", fmt.Sprintf(`{mbx1: {address: "%s", tls: none}}`, s.server)},
		{"databases", "{db1: {copies: [mbx1]}}"},
		{"data_dir", "data"},
		{"loops", "2"},
	} {
		if part.key != section {
			fmt.Fprintf(&text, "%s: %s\n", part.key, part.value)
		}
	}
	file := filepath.Join(s.dir, "portico.yaml")
	if err := os.WriteFile(file, []byte(text.String()+more), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// running is a service in this process.
type running struct {
	*service
	site    *site
	signals chan os.Signal
	log     *testkit.Log
	ended   chan error
}

// serve starts a service from the site's file. It is stopped with the test.
func (s *site) serve(t testing.TB, file string) *running {
	t.Helper()
	r := &running{site: s, signals: make(chan os.Signal, 4), log: &testkit.Log{}, ended: make(chan error, 1)}
	started := make(chan *service, 1)
	go func() { r.ended <- serve(file, r.signals, r.log, func(s *service) { started <- s }) }()
	select {
	case r.service = <-started:
		r.patience = testkit.Patience // not for the test to decide how fast this machine is
	case err := <-r.ended:
		t.Fatalf("serve: %v\n%s", err, r.log)
	}
	t.Cleanup(func() {
		r.signals <- syscall.SIGTERM
		r.signals <- syscall.SIGTERM
		if err := <-r.ended; err != nil {
			t.Errorf("serve: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", r.log)
		}
	})
	return r
}

// stopped waits for the end of the service.
func (r *running) stopped(t testing.TB) {
	t.Helper()
	err := <-r.ended
	r.ended <- err
	if err != nil {
		t.Errorf("serve: %v", err)
	}
}

func (r *running) trust() *tls.Config { return r.site.ca.ClientConfig("localhost") }

// signIn returns a client whose user is signed in, over TLS from the first byte.
func (r *running) signIn(t testing.TB) *testkit.Conn {
	t.Helper()
	c := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
	c.Expect("* OK *")
	c.Command("a", "LOGIN alice secret")
	return c
}

// logged waits until the log has the words.
func (r *running) logged(t testing.TB, words string) {
	t.Helper()
	testkit.Eventually(t, "a log line with "+words, func() bool { return strings.Contains(r.log.String(), words) })
}
