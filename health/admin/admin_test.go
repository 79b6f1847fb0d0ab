package admin

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"portico/backend/backendtest/testkit"
)

const token = "correct-horse-battery"

// allTokens are token, which may change things, and readToken.
var allTokens = []Token{{Name: "admin.token", Hash: sha256.Sum256([]byte(token)), May: MayChange},
	{Name: "read.token", Hash: sha256.Sum256([]byte(readToken)), May: MayRead}}

// site is a running server with one listener.
type site struct {
	server *Server
	addr   net.Addr
	client *http.Client
}

// open runs a server on ln until the test ends. The client trusts config, if any.
func open(t *testing.T, ln net.Listener, o Options, config *tls.Config) *site {
	t.Helper()
	if o.Gatherer == nil {
		o.Gatherer = prometheus.NewRegistry()
	}
	server, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	s := &site{server: server, addr: ln.Addr(), client: &http.Client{Timeout: testkit.Patience,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, ln.Addr().Network(), ln.Addr().String())
			},
			TLSClientConfig: config,
		}}}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

// get asks for a page under a host name, with a token unless it is "".
func (s *site) get(t *testing.T, scheme, host, path, token string) (status int, body string, header http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(testkit.Context(t), http.MethodGet, scheme+"://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return s.send(t, request)
}

// send sends a request, and reads the answer.
func (s *site) send(t *testing.T, request *http.Request) (status int, body string, header http.Header) {
	t.Helper()
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text), response.Header
}

func TestHostHeader(t *testing.T) {
	testkit.NoLeaks(t)
	s := open(t, testkit.Listen(t), Options{Access: Access{AllowedHosts: []string{"Mail.example.org", "192.0.2.7"}}},
		nil)
	for host, want := range map[string]int{
		"localhost":                 http.StatusOK,
		"LOCALHOST:8143":            http.StatusOK,
		"127.0.0.1:8143":            http.StatusOK,
		"127.8.8.8":                 http.StatusOK,
		"[::1]:8143":                http.StatusOK,
		"[::1]":                     http.StatusOK,
		"mail.example.org:8143":     http.StatusOK,
		"192.0.2.7":                 http.StatusOK,
		"rebound.example.com":       http.StatusMisdirectedRequest,
		"localhost.example.com":     http.StatusMisdirectedRequest,
		"127.0.0.1.example.com":     http.StatusMisdirectedRequest,
		"192.0.2.8:8143":            http.StatusMisdirectedRequest,
		"mail.example.org.evil.com": http.StatusMisdirectedRequest,
		"0.0.0.0:8143":              http.StatusMisdirectedRequest,
	} {
		if status, body, _ := s.get(t, "http", host, "/metrics", ""); status != want {
			t.Errorf("Host %s: %d %s, want %d", host, status, body, want)
		}
	}
}

func TestHostHeaderMissing(t *testing.T) {
	s := open(t, testkit.Listen(t), Options{}, nil)
	conn, err := net.Dial("tcp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /metrics HTTP/1.0\r\n\r\n")
	if line, _ := bufio.NewReader(conn).ReadString('\n'); !strings.Contains(line, "421") {
		t.Errorf("got %q", line)
	}
}

// far makes a listener look like one that other machines reach.
type far struct{ net.Listener }

func (far) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 8143} }

// Beyond loopback a token may not be sent in plain text. Without any token nobody gets in: see
// TestTokenBeyondLoopback.
func TestBeyondLoopbackIsRefusedWithoutTLS(t *testing.T) {
	config, _ := testkit.TLS(t)
	for name, c := range map[string]struct {
		access Access
		ok     bool
	}{
		"nothing":     {Access{}, false},
		"only TLS":    {Access{TLS: config}, true},
		"only tokens": {Access{Tokens: allTokens}, false},
		"both":        {Access{TLS: config, Tokens: allTokens}, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, address := range []string{":0", "0.0.0.0:0", "[::]:0"} {
				ln, err := ListenTCP(testkit.Context(t), new(net.ListenConfig), address, c.access)
				if err == nil {
					ln.Close()
				}
				if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrOpen) {
					t.Errorf("ListenTCP %s: %v", address, err)
				}
			}
			server, err := New(Options{Gatherer: prometheus.NewRegistry(), Access: c.access})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := server.open(far{}); (err == nil) != c.ok {
				t.Errorf("open: %v", err)
			}
			if !c.ok {
				if err := server.Serve(far{testkit.Listen(t)}); !errors.Is(err, ErrOpen) {
					t.Errorf("Serve: %v", err)
				}
			}
		})
	}
}

func TestTokenBeyondLoopback(t *testing.T) {
	testkit.NoLeaks(t)
	config, trust := testkit.TLS(t)
	access := Access{TLS: config, Tokens: allTokens}
	ln := testkit.Listen(t)
	s := open(t, far{ln}, Options{Access: access}, trust)
	s.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
	}
	for _, path := range []string{"/metrics", "/nothing", "/consoles", "/api/"} {
		for given, ok := range map[string]bool{"": false, "wrong": false, token + "x": false, token: true} {
			status, _, header := s.get(t, "https", "localhost", path, given)
			if (status != http.StatusUnauthorized) != ok {
				t.Errorf("%s with token %q: %d", path, given, status)
			}
			if !ok && header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: no challenge", path)
			}
		}
	}
	if err := s.server.Reload(Access{Tokens: allTokens}); !errors.Is(err, ErrOpen) {
		t.Errorf("Reload without TLS: %v", err)
	}
	for _, step := range []struct {
		tokens []Token
		want   map[string]int
	}{
		{allTokens[1:], map[string]int{"": 401, token: 401, readToken: 200}},
		{nil, map[string]int{"": 401, token: 401, readToken: 401}}, // the last token is withdrawn
	} {
		if err := s.server.Reload(Access{TLS: config, Tokens: step.tokens}); err != nil {
			t.Fatal(err)
		}
		for given, want := range step.want {
			if status, _, _ := s.get(t, "https", "localhost", "/metrics", given); status != want {
				t.Errorf("after Reload with %d tokens, %q: %d", len(step.tokens), given, status)
			}
		}
	}
}

func TestLoopbackTakesOnAndOffTLS(t *testing.T) {
	config, trust := testkit.TLS(t)
	s := open(t, testkit.Listen(t), Options{}, trust)
	for _, step := range []struct {
		scheme string
		access Access
	}{{"http", Access{}}, {"https", Access{TLS: config}}, {"http", Access{}}} {
		s.client.CloseIdleConnections()
		if err := s.server.Reload(step.access); err != nil {
			t.Fatal(err)
		}
		if status, _, _ := s.get(t, step.scheme, "localhost", "/livez", ""); status != http.StatusOK {
			t.Errorf("%s: %d", step.scheme, status)
		}
	}
}

func TestPages(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "portico_test", Help: "Test."},
		func() float64 { return 7 }))
	missing := errors.New("no listener is open")
	checks := []Check{
		{Name: "configuration", Ready: func() error { return nil }},
		{Name: "listeners", Ready: func() error { return missing }},
		{Name: "store", Ready: func() error { return errors.New("full") }, Advisory: true},
	}
	s := open(t, testkit.Listen(t), Options{Gatherer: registry, Checks: checks}, nil)
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/metrics", http.StatusOK, "portico_test 7"},
		{"/livez", http.StatusOK, "alive"},
		{"/readyz", http.StatusServiceUnavailable,
			"not ready\nconfiguration: ok\nlisteners: no listener is open\nstore: full\n"},
		{"/", http.StatusNotFound, ""}, // there is no console
		{"/nothing", http.StatusNotFound, ""},
	} {
		status, body, header := s.get(t, "http", "localhost", c.path, "")
		if status != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s: %d %q", c.path, status, body)
		}
		if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", c.path, header)
		}
	}
	missing = nil
	if status, body, _ := s.get(t, "http", "localhost", "/readyz", ""); status != http.StatusOK ||
		!strings.HasPrefix(body, "ready\n") {
		t.Errorf("ready: %d %q", status, body)
	}
}

func TestMetricsFormats(t *testing.T) {
	registry := prometheus.NewRegistry()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "portico_test_seconds", Help: "Test.",
		NativeHistogramBucketFactor: 1.2})
	h.Observe(1)
	registry.MustRegister(h)
	s := open(t, testkit.Listen(t), Options{Gatherer: registry}, nil)
	const openMetrics, protobuf = "application/openmetrics-text", "application/vnd.google.protobuf"
	for accept, want := range map[string]string{
		"":                              "text/plain",
		openMetrics + "; version=1.0.0": openMetrics,
		protobuf + "; proto=io.prometheus.client.MetricFamily; encoding=delimited; q=1": protobuf,
	} {
		request, err := http.NewRequestWithContext(testkit.Context(t), http.MethodGet, "http://localhost/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", accept)
		response, err := s.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("Accept %q: %s", accept, got)
		}
	}
}

func TestRequestsThatChangeAreRefused(t *testing.T) {
	var log testkit.Log
	s := open(t, testkit.Listen(t), Options{Log: zerolog.New(&log)}, nil)
	s.get(t, "http", "localhost", "/livez", "")
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		request, err := http.NewRequestWithContext(testkit.Context(t), method, "http://localhost/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := s.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusUnauthorized { // whoever may read only
			t.Errorf("%s: %d", method, response.StatusCode)
		}
	}
	// One line a minute for a caller.
	if text := log.String(); strings.Count(text, "change refused") != 1 ||
		!strings.Contains(text, `"from":"127.0.0.1`) ||
		!strings.Contains(text, `"request":"POST /metrics","status":401`) {
		t.Errorf("the log is %s", text)
	}
}

func TestServeAfterShutdown(t *testing.T) {
	server, err := New(Options{Gatherer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Shutdown(testkit.Context(t)); err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(testkit.Listen(t)); err != nil {
		t.Errorf("Serve: %v", err)
	}
}
