package admin

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// certificateSite is a site beyond loopback that knows clients by certificate.
type certificateSite struct {
	*site
	ca     *backendtest.CA
	server *backendtest.Certificate
	addr   string
	log    *testkit.Log
}

func newCertificateSite(t *testing.T, rights map[string]Right) *certificateSite {
	t.Helper()
	s := &certificateSite{ca: newCA(t), log: &testkit.Log{}}
	s.server = issue(t, s.ca, backendtest.CertOptions{Hosts: []string{"localhost"}})
	ln := testkit.Listen(t)
	s.addr = ln.Addr().String()
	s.site = open(t, far{ln}, Options{API: (&noted{}).api(), Log: zerolog.New(s.log),
		Access: s.access(s.ca, rights)}, nil)
	return s
}

// access lets certificates of a CA in.
func (s *certificateSite) access(clients *backendtest.CA, rights map[string]Right) Access {
	config := s.server.ServerConfig()
	config.ClientCAs, config.ClientAuth = clients.Pool(), tls.VerifyClientCertIfGiven
	return Access{TLS: config, Certificates: rights, Tokens: allTokens}
}

func newCA(t *testing.T) *backendtest.CA {
	t.Helper()
	ca, err := backendtest.NewCA("operators")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *backendtest.CA, o backendtest.CertOptions) *backendtest.Certificate {
	t.Helper()
	cert, err := ca.Issue(o)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// as returns a client that shows a certificate; nil is none. It keeps its connection.
func (s *certificateSite) as(t *testing.T, cert *backendtest.Certificate) *http.Client {
	t.Helper()
	config := s.ca.ClientConfig("localhost")
	if cert != nil {
		config.Certificates = []tls.Certificate{cert.TLS}
	}
	transport := &http.Transport{TLSClientConfig: config, DialContext: func(ctx context.Context, _,
		_ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", s.addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Timeout: testkit.Patience, Transport: transport}
}

// send returns the status of an answer, 0 if the handshake fails.
func send(t *testing.T, client *http.Client, method, path, token string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(testkit.Context(t), method, "https://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0
	}
	io.Copy(io.Discard, response.Body) // so that the connection can be used again
	response.Body.Close()
	return response.StatusCode
}

const unblock = "/api/v1/servers/mbx1/unblock"

// A certificate names its holder, who may do what the configuration says of that name. Without a right it does no more
// than none; of another CA, expired, or for servers, it ends the handshake.
func TestCertificateRights(t *testing.T) {
	testkit.NoLeaks(t)
	s := newCertificateSite(t, map[string]Right{"ann": MayChange, "prometheus": MayRead, "localhost": MayChange})
	client := func(name string) *backendtest.Certificate {
		return issue(t, s.ca, backendtest.CertOptions{Hosts: []string{name}, Client: true})
	}
	past := time.Now().Add(-time.Hour)
	for _, c := range []struct {
		name         string
		cert         *backendtest.Certificate
		token        string
		read, change int
	}{
		{"a reader", client("prometheus"), "", 200, 403},
		{"whoever may change", client("ann"), "", 200, 200},
		{"another name", client("Ann"), "", 403, 403},
		{"none", nil, "", 401, 401},
		{"no name", client(""), "", 401, 401},
		{"none, with a token", nil, token, 200, 200},
		{"a reader with a token for changes", client("prometheus"), token, 200, 200},
		{"whoever may change, with a wrong token", client("ann"), "wrong", 200, 200},
		{"of another CA", issue(t, newCA(t), backendtest.CertOptions{Hosts: []string{"ann"}, Client: true}), "", 0, 0},
		{"expired", issue(t, s.ca, backendtest.CertOptions{Hosts: []string{"ann"}, Client: true, NotAfter: past,
			NotBefore: past.Add(-time.Hour)}), "", 0, 0},
		{"of a server", s.server, "", 0, 0},
	} {
		as := s.as(t, c.cert)
		if got := send(t, as, "GET", "/api/v1/servers", c.token); got != c.read {
			t.Errorf("%s reads: %d, want %d", c.name, got, c.read)
		}
		if got := send(t, as, "POST", unblock, c.token); got != c.change {
			t.Errorf("%s changes: %d, want %d", c.name, got, c.change)
		}
		as.CloseIdleConnections()
	}
	for who, words := range map[string]string{"certificate ann": "change requested",
		"certificate prometheus": "change refused", "certificate Ann": "change refused"} {
		if line := lineWith(s.log.String(), `"who":"`+who+`"`); !strings.Contains(line, words) {
			t.Errorf("%s: %q", who, line)
		}
	}
}

// A reload takes a right or a CA away at once, also from connections that are open.
func TestCertificatesAreReloaded(t *testing.T) {
	testkit.NoLeaks(t)
	s := newCertificateSite(t, map[string]Right{"ann": MayChange})
	ann := s.as(t, issue(t, s.ca, backendtest.CertOptions{Hosts: []string{"ann"}, Client: true}))
	change := func(want int) {
		t.Helper()
		if got := send(t, ann, "POST", unblock, ""); got != want {
			t.Errorf("status %d, want %d", got, want)
		}
	}
	reload := func(clients *backendtest.CA, rights map[string]Right) {
		t.Helper()
		if err := s.site.server.Reload(s.access(clients, rights)); err != nil {
			t.Fatal(err)
		}
	}
	change(200)
	reload(s.ca, map[string]Right{"ann": MayRead})
	change(403)
	reload(s.ca, map[string]Right{"ann": MayChange})
	change(200)
	reload(newCA(t), map[string]Right{"ann": MayChange}) // the connection has shown a certificate of the old one
	change(401)
	ann.CloseIdleConnections()
	change(0)
}
