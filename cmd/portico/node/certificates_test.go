package node

import (
	"crypto/tls"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/configs"
)

func TestOldTLSIsRefused(t *testing.T) {
	site := newSite(t)
	shown := configs.Certificate{Cert: site.dir + "/mail.crt", Key: site.dir + "/mail.key"}
	for _, c := range []struct {
		least   configs.TLSVersion
		version uint16
		ok      bool
	}{
		{configs.TLS12, tls.VersionTLS11, false},
		{configs.TLS12, tls.VersionTLS12, true},
		{configs.TLS13, tls.VersionTLS12, false},
		{configs.TLS13, tls.VersionTLS13, true},
	} {
		server, _, err := clientTLS(configs.TLS{Certificates: []configs.Certificate{shown}, MinVersion: c.least})
		if err != nil {
			t.Fatal(err)
		}
		client := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: c.version}
		if _, err := handshake(t, server, client); (err == nil) != c.ok {
			t.Errorf("at least %s, client has %s: %v", c.least, tls.VersionName(c.version), err)
		}
	}
}

// handshake returns what the client got.
func handshake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	ln := testkit.Listen(t)
	go func() {
		if conn, err := ln.Accept(); err == nil {
			tls.Server(conn, server).HandshakeContext(testkit.Context(t))
			conn.Close()
		}
	}()
	conn, err := tls.Dial("tcp", ln.Addr().String(), client)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), nil
}

// A renewed certificate is shown without a reload, and what is broken is not.
func TestCertificatesAreReadAgain(t *testing.T) {
	site := newSite(t)
	r := site.serve(t, site.write(t, ""))
	site.certificate(t, "mail", "renewed.example.org", "localhost")
	r.clients.refreshCertificates()
	r.clients.refreshCertificates() // nobody writes it any more
	if name := r.shownName(t); name != "renewed.example.org" {
		t.Errorf("shown is %s", name)
	}
	if _, metrics := r.get(t, "/metrics"); !strings.Contains(metrics, "portico_certificates_failing 0") ||
		!strings.Contains(metrics, "portico_certificate_expiry_timestamp_seconds ") {
		t.Error("/metrics does not tell of certificates")
	}
}

// A client that was here before resumes its TLS session after a reload.
func TestReloadKeepsTickets(t *testing.T) {
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	client := r.trust()
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	resumed := func() bool {
		t.Helper()
		conn, err := tls.Dial("tcp", r.clients.listeners.addresses()[1].String(), client)
		if err != nil {
			t.Fatal(err)
		}
		c := testkit.NewConn(t, conn)
		defer c.Close()
		c.Expect("* OK *") // and so has the ticket
		return conn.ConnectionState().DidResume
	}
	if resumed() {
		t.Fatal("the first is resumed")
	}
	r.signals <- syscall.SIGHUP
	r.logged(t, `"message":"reloaded"`)
	if !resumed() {
		t.Error("not resumed after a reload")
	}
}

// Clients with a certificate of the right authority sign in by it; those of another do not get in; those without may
// use a password.
func TestClientCertificates(t *testing.T) {
	server := testkit.Dovecot(t, backendtest.DovecotOptions{
		Users: []backendtest.User{{Name: "alice", Password: "x"}}, Masters: map[string]string{"portico": "sesame"},
	})
	site := newSite(t)
	site.server = server.Plain
	users, foreign := newCA(t), newCA(t)
	if _, err := users.WriteFile(site.dir); err != nil {
		t.Fatal(err)
	}
	site.put(t, "master.secret", "sesame")
	r := site.serve(t, site.writeWithout(t, "tls",
		"tls: {certificates: [{cert: mail.crt, key: mail.key}], client_ca: ca.crt}\n"+
			"signin: {mode: master, master: {user: portico, password_file: master.secret}}\n"))
	dial := func(ca *backendtest.CA, version uint16) (*tls.Conn, error) {
		t.Helper()
		config := r.trust()
		config.MaxVersion = version
		if ca != nil {
			cert, err := ca.Issue(backendtest.CertOptions{Hosts: []string{"Alice"}, Client: true})
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{cert.TLS}
		}
		return tls.Dial("tcp", r.clients.listeners.addresses()[1].String(), config)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conn, err := dial(users, version)
		if err != nil {
			t.Fatal(err)
		}
		c := testkit.NewConn(t, conn)
		c.Expect("* OK [CAPABILITY * LOGINDISABLED AUTH=EXTERNAL] *")
		c.Command("a", "AUTHENTICATE EXTERNAL =")
		c.Command("b", "SELECT INBOX")
		c.Close()

		if conn, err := dial(foreign, version); err == nil {
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s: a certificate of another authority is taken", tls.VersionName(version))
			}
			conn.Close()
		}
		conn, err = dial(nil, version)
		if err != nil {
			t.Fatal(err)
		}
		c = testkit.NewConn(t, conn)
		c.Expect("* OK [CAPABILITY * LOGINDISABLED] *")
		c.Send("a AUTHENTICATE EXTERNAL =")
		c.Expect("a NO [CANNOT] *")
		c.Close()
	}
}

func newCA(t *testing.T) *backendtest.CA {
	t.Helper()
	ca, err := backendtest.NewCA("users")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}
