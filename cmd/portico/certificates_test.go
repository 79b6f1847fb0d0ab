package main

import (
	"crypto/tls"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/configs"
)

func TestCertificateByName(t *testing.T) {
	dir := t.TempDir()
	ca, err := backendtest.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	config := configs.TLS{MinVersion: configs.TLS12}
	for name, hosts := range map[string][]string{
		"first": {"mail.example.org"}, "wild": {"*.example.com"}, "exact": {"imap.example.com", "pop.example.com"},
	} {
		cert, err := ca.Issue(backendtest.CertOptions{Hosts: hosts})
		if err == nil {
			_, _, err = cert.WriteFiles(dir, name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"first", "wild", "exact"} {
		config.Certificates = append(config.Certificates, configs.KeyPair{Cert: dir + "/" + name + ".crt", Key: dir + "/" + name + ".key"})
	}
	server, err := clientTLS(config)
	if err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[string]string{
		"mail.example.org":     "mail.example.org",
		"imap.example.com":     "imap.example.com",
		"POP.Example.COM":      "imap.example.com",
		"other.example.com":    "*.example.com",
		"deep.sub.example.com": "mail.example.org",
		"example.com":          "mail.example.org",
		"unknown.test":         "mail.example.org",
		"":                     "mail.example.org",
	} {
		state, err := handshake(t, server, &tls.Config{ServerName: asked, InsecureSkipVerify: true})
		if err != nil {
			t.Errorf("%q: %v", asked, err)
			continue
		}
		if got := state.PeerCertificates[0].DNSNames[0]; got != want {
			t.Errorf("%q is shown the certificate of %s, want %s", asked, got, want)
		}
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	site := newSite(t)
	pair := configs.KeyPair{Cert: site.dir + "/mail.crt", Key: site.dir + "/mail.key"}
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
		server, err := clientTLS(configs.TLS{Certificates: []configs.KeyPair{pair}, MinVersion: c.least})
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
