package health

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/backend/secret"
)

// listenerCertificate returns the configuration of a listener whose certificate is valid from and to these times from
// now.
func listenerCertificate(t *testing.T, from, to time.Duration) *tls.Config {
	t.Helper()
	ca, err := backendtest.NewCA("Listener CA")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(backendtest.CertOptions{
		Hosts: []string{"mail.example.org"}, NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to),
	})
	if err != nil {
		t.Fatal(err)
	}
	return cert.ServerConfig()
}

// distrusted starts a server whose clients leave in the handshake.
func distrusted(t *testing.T, config *tls.Config) *backendtest.Scripted {
	t.Helper()
	s, err := backendtest.StartScripted(testkit.Listen(t), config, "tls")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (p *probed) front(listeners ...Listener) Front {
	return Front{Back: p.back(), Listeners: func() []Listener { return listeners }}
}

// What a listener says once a client has signed in, up to the end.
const readsMail = `C: ${tag} LOGIN *
S: ${tag} OK [CAPABILITY IMAP4rev1] in
C: ${tag} EXAMINE *
S: * 0 EXISTS
S: ${tag} OK [READ-ONLY] open
C: ${tag} LOGOUT
S: * BYE out
S: ${tag} OK out
eof`

// The touch point connects to the first listener, over TLS if it has TLS, and reads the mailbox of the database.
func TestCTP(t *testing.T) {
	testkit.NoLeaks(t)
	config := listenerCertificate(t, -time.Hour, time.Hour)
	const reads = "signin select fetch logout"
	for _, cell := range []struct {
		name, script string
		listener     Listener
		want         string
	}{
		{"plain", hello + readsMail, Listener{}, "Succeeded, , in \"\": dial greeting " + reads},
		{"implicit", "tls\n" + hello + readsMail, Listener{Implicit: true},
			"Succeeded, , in \"\": dial tls greeting " + reads},
		{"starttls refused", hello + "C: s STARTTLS\nS: * OK wait\nS: s NO not now\neof", Listener{StartTLS: true},
			"Failed, Networking, in \"tls\": dial tls"},
		{"starttls unanswered", hello + "C: s STARTTLS\nclose", Listener{StartTLS: true},
			"Failed, Networking, in \"tls\": dial tls"},
		{"no greeting", "close", Listener{}, "Failed, Networking, in \"greeting\": dial greeting"},
		{"no handshake", "close", Listener{Implicit: true}, "Failed, Networking, in \"tls\": dial tls"},
	} {
		t.Run(strings.ReplaceAll(cell.name, " ", "_"), func(t *testing.T) {
			s := testkit.Scripted(t, config, cell.script)
			p := newProbed(t, "127.0.0.1:1", "127.0.0.1:1")
			cell.listener.Address = s.Addr()
			r := p.runs(&Run{}, p.front(cell.listener, Listener{Address: "127.0.0.1:1"}).CTP("db1"))
			p.want(r, cell.want)
			if r.Mailbox != "mbx1" || r.Account != "health1" || len(p.read) > 0 {
				t.Errorf("%+v; it has read %q", r, p.read)
			}
		})
	}
	p := newProbed(t, "127.0.0.1:1", "127.0.0.1:1")
	over := Listener{Address: mailServer(t, config), StartTLS: true}
	p.want(p.runs(&Run{}, p.front(over).CTP("db1")), "Succeeded, , in \"\": dial tls greeting "+reads)
	p.want(p.runs(&Run{}, p.front().CTP("db1")), "Failed, Networking, in \"dial\": ", "none of Portico's listeners")
	p.want(p.runs(&Run{}, p.front(Listener{Address: "127.0.0.1:1"}).CTP("db1")),
		"Failed, Networking, in \"dial\": dial")
	p.mailboxes["db1"] = false
	p.want(p.runs(&Run{}, p.front(Listener{Address: "127.0.0.1:1"}).CTP("db1")),
		"Failed, Authentication, in \"account\": ")
}

// A certificate of ours has to be valid now, whomever it is for.
func TestOwnCertificate(t *testing.T) {
	testkit.NoLeaks(t)
	for _, cell := range []struct {
		from, to time.Duration
		words    string
	}{{-2 * time.Hour, -time.Hour, "has expired on"}, {time.Hour, 2 * time.Hour, "is not valid before"}} {
		s := distrusted(t, listenerCertificate(t, cell.from, cell.to))
		p := newProbed(t, "127.0.0.1:1", "127.0.0.1:1")
		front := p.front(Listener{Address: s.Addr(), Implicit: true})
		for _, look := range []func(context.Context, *Run) error{front.CTP("db1"), front.ProxyTest(nil)} {
			p.want(p.runs(&Run{}, look), "Failed, Networking, in \"certificate\": dial tls", cell.words)
		}
	}
}

// At another host its certificate has to be for its name, and by an authority that is trusted: the password of an
// account goes there. What is behind that host is not asked.
func TestCTPElsewhere(t *testing.T) {
	testkit.NoLeaks(t)
	s := distrusted(t, listenerCertificate(t, -time.Hour, time.Hour))
	p := newProbed(t, "127.0.0.1:1", "127.0.0.1:1")
	r := p.runs(&Run{Account: "anna", Password: "sesame", Endpoint: s.Addr()},
		p.front(Listener{Address: "127.0.0.1:1"}).CTP("db1"))
	p.want(r, "Failed, Networking, in \"tls\": dial tls", "certificate")
	if got := string(s.Received(1)); strings.Contains(got, "LOGIN") {
		t.Errorf("it was sent %q", got)
	}
}

// Why the front end refuses the health mailbox is found out by going the same way: directory, active copy, mailbox
// server. Where all of that is well, the front end's own answer counts.
func TestDiagnose(t *testing.T) {
	testkit.NoLeaks(t)
	const no = "NO [AUTHENTICATIONFAILED] no"
	for _, cell := range []struct {
		name, answer, server, database string
		down                           error
		want                           string
	}{
		{"directory", no, signsIn, "db1", directory.ErrUnavailable, "Failed, Active Directory, in \"route\""},
		{"no active copy", no, signsIn, "db3", nil, "Failed, High Availability, in \"route\""},
		{"server hangs up", no, "close", "db1", nil, "Failed, Networking, in \"greeting\""},
		{"server refuses", no, refuses, "db1", nil, "Failed, Authentication, in \"signin\""},
		{"server is well", no, signsIn, "db1", nil, "Failed, Authentication, in \"signin\""},
		{"front end is unavailable", "NO [UNAVAILABLE] later", signsIn, "db1", nil,
			"Failed, High Availability, in \"signin\""},
	} {
		t.Run(strings.ReplaceAll(cell.name, " ", "_"), func(t *testing.T) {
			listener := testkit.Scripted(t, nil, hello+"C: ${tag} LOGIN *\nS: ${tag} "+cell.answer+"\neof")
			server := testkit.Scripted(t, nil, cell.server)
			p := newProbed(t, server.Addr(), server.Addr())
			p.down, p.mailboxes["db3"] = cell.down, true
			r := p.runs(&Run{}, p.front(Listener{Address: listener.Addr()}).CTP(cell.database))
			p.want(r, cell.want+": dial greeting signin", strings.Fields(cell.answer)[2])
			if _, login, _ := strings.Cut(string(server.Received(1)), "LOGIN "); server.Conns() > 0 &&
				cell.server != "close" && !strings.HasPrefix(login, "health1 ") && !strings.HasPrefix(login,
				`"health1" `) {
				t.Errorf("the server was asked for %q", login)
			}
		})
	}
	t.Run("no_answer", func(t *testing.T) {
		listener := testkit.Scripted(t, nil, hello+"C: ${tag} LOGIN *\nclose")
		server := testkit.Scripted(t, nil, signsIn)
		p := newProbed(t, server.Addr(), server.Addr())
		p.want(p.runs(&Run{}, p.front(Listener{Address: listener.Addr()}).CTP("db1")),
			"Failed, Networking, in \"signin\": dial greeting signin")
	})
}

// The test of our front end shows the proxy a secret of this run, never the password, from an address that the proxy
// was given, and takes that back.
func TestProxyTest(t *testing.T) {
	testkit.NoLeaks(t)
	const (
		asks  = hello + "C: ${tag} CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: ${tag} OK done\n"
		leave = "C: ${tag} LOGOUT\nS: * BYE out\nS: ${tag} OK out\neof"
		login = "C: ${tag} LOGIN *\n"
	)
	for _, cell := range []struct {
		name, script string
		nobody       bool
		down         error
		want         string
	}{
		{"well", asks + login + "S: ${tag} OK [CAPABILITY IMAP4rev1] in\n" + leave, false, nil,
			"Succeeded, , in \"\": dial greeting capability signin logout"},
		{"nobody to sign in as", asks + leave, true, nil, "Succeeded, , in \"\": dial greeting capability logout"},
		{"no greeting", "close", false, nil, "Failed, Networking, in \"greeting\": dial greeting"},
		{"no capabilities", hello + "C: ${tag} CAPABILITY\nS: ${tag} BAD what\neof", false, nil,
			"Failed, , in \"capability\": dial greeting capability"},
		{"no end",
			asks + login + "S: ${tag} OK [CAPABILITY IMAP4rev1] in\nC: ${tag} LOGOUT\nS: ${tag} BAD what\neof",
			false, nil, "Failed, , in \"logout\": dial greeting capability signin logout"},
		{"refused", asks + login + "S: ${tag} NO [AUTHENTICATIONFAILED] no\neof", false, nil,
			"Failed, Authentication, in \"signin\": dial greeting capability signin"},
		{"unavailable", asks + login + "S: ${tag} NO [UNAVAILABLE] later\neof", false, nil,
			"Failed, High Availability, in \"signin\": dial greeting capability signin"},
		{"hangs up", asks + login + "close", false, nil,
			"Failed, Networking, in \"signin\": dial greeting capability signin"},
		{"directory", asks + login + "S: ${tag} NO [UNAVAILABLE] later\neof", false, directory.ErrUnavailable,
			"Failed, Active Directory, in \"route\": dial greeting capability signin"},
	} {
		t.Run(strings.ReplaceAll(cell.name, " ", "_"), func(t *testing.T) {
			listener := testkit.Scripted(t, nil, cell.script)
			p := newProbed(t, "127.0.0.1:1", "127.0.0.1:1")
			p.down, p.mailboxes = cell.down, map[string]bool{"db2": !cell.nobody}
			var from netip.AddrPort
			var shown, password secret.Value
			admitted, revoked := 0, 0
			admit := func(source netip.AddrPort, s, of secret.Value) func() {
				from, shown, password = source, s, of
				admitted++
				return func() { revoked++ }
			}
			p.want(p.runs(&Run{}, p.front(Listener{Address: listener.Addr()}).ProxyTest(admit)), cell.want)
			if admitted != revoked || (admitted > 0) != strings.Contains(cell.want, "signin") {
				t.Fatalf("admitted %d times, revoked %d times", admitted, revoked)
			}
			if admitted == 0 {
				return
			}
			sent := string(listener.Received(1))
			if !from.Addr().IsLoopback() || from.Port() == 0 || password != "sesame" || len(shown) < 20 {
				t.Errorf("admitted from %v", from)
			}
			if !strings.Contains(sent, shown.Reveal()) || strings.Contains(sent, "sesame") ||
				!strings.Contains(sent, "health2") {
				t.Error("the proxy was not shown the secret of this run, as health2")
			}
		})
	}
	p := newProbed(t, "127.0.0.1:1", "127.0.0.1:1")
	p.want(p.runs(&Run{}, p.front().ProxyTest(nil)), "Failed, Networking, in \"dial\": ",
		"none of Portico's listeners")
	p.want(p.runs(&Run{}, p.front(Listener{Address: "127.0.0.1:1"}).ProxyTest(nil)),
		"Failed, Networking, in \"dial\": dial")
	p.mailboxes = nil
	p.want(p.runs(&Run{}, p.front(Listener{Address: mailServer(t, listenerCertificate(t, -time.Hour, time.Hour)),
		StartTLS: true}).ProxyTest(nil)), "Succeeded, , in \"\": dial tls greeting capability logout")
}

// While Portico has no descriptor left, its own listener proves nothing about others.
func TestFrontIsShort(t *testing.T) {
	p := newProbed(t, "127.0.0.1:1", "127.0.0.1:1")
	front := p.front()
	front.Left = func() error { return errors.New("all descriptors are taken") }
	p.want(p.runs(&Run{}, front.CTP("db1")), "Failed, Portico, in \"\": ", "none of Portico's listeners",
		"all descriptors are taken")
	p.want(p.runs(&Run{}, front.ProxyTest(nil)), "Failed, Portico, in \"\": ", "all descriptors are taken")
}
