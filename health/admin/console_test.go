package admin

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

// The console's files are for everybody who reaches the address, whatever else needs a token. Its page asks for that.
func TestConsoleNeedsNoToken(t *testing.T) {
	config, trust := testkit.TLS(t)
	ln := testkit.Listen(t)
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the console") })
	s := open(t, far{ln}, Options{Console: page, Access: Access{TLS: config, Tokens: allTokens}}, trust)
	s.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
	}
	for path, want := range map[string]int{
		"/": http.StatusOK, "/console/main.js": http.StatusOK,
		"/console": http.StatusUnauthorized, "/index.html": http.StatusUnauthorized,
		"/console/../metrics":     http.StatusUnauthorized,
		"/console/%2e%2e/metrics": http.StatusOK, "//": http.StatusUnauthorized, // a name of the console
	} {
		if status, body, _ := s.get(t, "https", "localhost", path, ""); status != want ||
			strings.Contains(body, "go_goroutines") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, _ := s.get(t, "https", "evil.example.com", "/", ""); status != http.StatusMisdirectedRequest {
		t.Errorf("another host name: %d", status)
	}
}

// Who asks, and what that may do.
func TestCaller(t *testing.T) {
	s := open(t, testkit.Listen(t), Options{Access: Access{Tokens: allTokens, KnownOnly: true}}, nil)
	for given, want := range map[string]Caller{token: {"token admin.token", true, true},
		readToken: {"token read.token", true, false}} {
		_, body, _ := s.get(t, "http", "localhost", PathCaller, given)
		var got Caller
		if err := json.Unmarshal([]byte(body), &got); err != nil || got != want {
			t.Errorf("%s: %s", given, body)
		}
	}
	if status, _, _ := s.get(t, "http", "localhost", PathCaller, ""); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
}
