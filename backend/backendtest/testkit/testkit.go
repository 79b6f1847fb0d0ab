package testkit

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"portico/backend/backendtest"
)

// Patience is how long helpers wait for something that should be there at once.
// It is long because test machines are busy; nothing waits for it in vain in a
// test that passes.
const Patience = 2 * time.Minute

// Context returns a context that ends with the test, or after Patience.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Listen returns a listener on a free loopback port. It is closed with the test.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// FreePort returns a port on which nobody listened on loopback a moment ago, for servers that cannot be given a
// listener.
func FreePort(t testing.TB) string {
	t.Helper()
	ports, err := backendtest.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	return ports[0]
}

// Server is what Serve runs.
type Server interface {
	Serve(net.Listener) error
	Close() error
}

// Serve runs the server on a free loopback port until the test ends and returns
// its address. The test fails if serving does.
func Serve(t testing.TB, s Server) string {
	t.Helper()
	ln := Listen(t)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close server: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// TLS returns the configuration of a server on 127.0.0.1 or localhost, and one
// of a client that trusts it.
func TLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	ca, err := backendtest.NewCA("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(backendtest.CertOptions{Hosts: []string{"127.0.0.1", "localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	return cert.ServerConfig(), ca.ClientConfig("127.0.0.1")
}

// Eventually waits until ok returns true and fails the test if it never does. It
// is for counters that another goroutine moves; prefer a channel where there is one.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !waitFor(Patience, ok) {
		t.Fatalf("still not so after %v: %s", Patience, what)
	}
}

func waitFor(limit time.Duration, ok func() bool) bool {
	deadline := time.Now().Add(limit)
	for pause := time.Millisecond; !ok(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}
