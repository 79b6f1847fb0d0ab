package backendtest_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"portico/backend/backendtest"
)

func newCA(t *testing.T) *backendtest.CA {
	t.Helper()
	ca, err := backendtest.NewCA("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestIssue(t *testing.T) {
	ca := newCA(t)
	now := time.Now()
	tests := []struct {
		name    string
		options backendtest.CertOptions
		dial    string
		ok      func(error) bool
	}{
		{"name", backendtest.CertOptions{Hosts: []string{"mail.example.org"}}, "mail.example.org", noError},
		{"address", backendtest.CertOptions{Hosts: []string{"mail.example.org", "127.0.0.1"}}, "127.0.0.1", noError},
		{"wrong name", backendtest.CertOptions{Hosts: []string{"mail.example.org"}}, "other.example.org",
			isHostnameError},
		{"expired", backendtest.CertOptions{
			Hosts: []string{"localhost"}, NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour),
		}, "localhost", isExpired},
		{"not yet valid", backendtest.CertOptions{
			Hosts: []string{"localhost"}, NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour),
		}, "localhost", isExpired},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cert, err := ca.Issue(tt.options)
			if err != nil {
				t.Fatal(err)
			}
			if err := handshake(t, cert.ServerConfig(), ca.ClientConfig(tt.dial)); !tt.ok(err) {
				t.Errorf("handshake: %v", err)
			}
		})
	}
	if _, err := ca.Issue(backendtest.CertOptions{}); err == nil {
		t.Error("a certificate for nobody was issued")
	}
}

func TestOtherCAIsNotTrusted(t *testing.T) {
	cert, err := newCA(t).Issue(backendtest.CertOptions{Hosts: []string{"localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	err = handshake(t, cert.ServerConfig(), newCA(t).ClientConfig("localhost"))
	if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) {
		t.Errorf("handshake: %v, want an unknown authority", err)
	}
}

func TestWriteFiles(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t)
	cert, err := ca.Issue(backendtest.CertOptions{Hosts: []string{"localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, err := cert.WriteFiles(dir, "mail")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(keyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v %v, want mode 0600", info, err)
	}
	if _, err := ca.WriteFile(dir); err != nil {
		t.Error(err)
	}
}

// handshake returns how the client sees a handshake over loopback.
func handshake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.(*tls.Conn).Handshake() // the client's view is what counts
	}()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", ln.Addr().String(), client)
	if err == nil {
		conn.Close()
	}
	<-done
	return err
}

func noError(err error) bool { return err == nil }

func isHostnameError(err error) bool {
	var e x509.HostnameError
	return errors.As(err, &e)
}

func isExpired(err error) bool {
	var e x509.CertificateInvalidError
	return errors.As(err, &e) && e.Reason == x509.Expired
}
