package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// The PROXY protocol comes before all else, and a check says that it is one.
func TestProxyProtocol(t *testing.T) {
	testkit.NoLeaks(t)
	for _, test := range []struct {
		client, local, want string
	}{
		{"192.0.2.7:5000", "192.0.2.8:993", "PROXY TCP4 192.0.2.7 192.0.2.8 5000 993"},
		{"[::ffff:192.0.2.7]:5000", "192.0.2.8:993", "PROXY TCP4 192.0.2.7 192.0.2.8 5000 993"},
		{"[2001:db8::7]:5000", "[2001:db8::8]:993", "PROXY TCP6 2001:db8::7 2001:db8::8 5000 993"},
	} {
		o := server(TLSNone, nil, fake(t, nil, dialogue{"C: " + test.want, greeting, aliceLogin, signedIn},
			dialogue{"C: PROXY UNKNOWN", greeting}))
		o.ProxyProtocol = 1
		tier := tier(t, Timeouts{}, o)
		q := alice()
		q.Client = ClientInfo{Addr: netip.MustParseAddrPort(test.client), Local: netip.MustParseAddrPort(test.local)}
		link, err := signInAs(t, tier, q)
		if err != nil {
			t.Fatal(err)
		}
		link.Conn.Close()
		if err := tier.Check(testkit.Context(t), "mbx1"); err != nil {
			t.Errorf("check: %v", err)
		}
	}
}

// A real Dovecot believes it, over TLS and without, in both versions.
func TestProxyProtocolToDovecot(t *testing.T) {
	ca, err := backendtest.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(loopback())
	if err != nil {
		t.Fatal(err)
	}
	d := testkit.Dovecot(t, backendtest.DovecotOptions{
		Users: []backendtest.User{{Name: "alice", Password: "wonder"}}, Certificate: cert,
		Proxied: true,
	})
	testkit.NoLeaks(t)
	for _, s := range []ServerOptions{
		server(TLSStartTLS, ca.ClientConfig(""), d.ProxiedPlain),
		server(TLSImplicit, ca.ClientConfig(""), d.ProxiedTLS),
	} {
		for version, client := range map[int]string{1: "192.0.2.1:5000", 2: "192.0.2.2:5000"} {
			s.ProxyProtocol = version
			tier := tier(t, Timeouts{}, s)
			q := alice()
			q.Client = ClientInfo{Addr: netip.MustParseAddrPort(client),
				Local: netip.MustParseAddrPort("192.0.2.8:993")}
			link, err := signInAs(t, tier, q)
			if err != nil {
				t.Fatal(err)
			}
			host, _, _ := strings.Cut(client, ":")
			// Dovecot logs no sign-in of a client that hangs up before Dovecot's parts have told each other of it.
			testkit.Eventually(t, fmt.Sprintf("version %d: the server's log knows %s", version, host), func() bool {
				return strings.Contains(d.ReadLog(), "rip="+host+", lip=192.0.2.8")
			})
			hangUp(t, link)
			if err := tier.Check(testkit.Context(t), "mbx1"); err != nil {
				t.Errorf("check by version %d: %v", version, err)
			}
		}
	}
}

// Sources take turns; one that has no port left passes its turn on; those of the other family are not for this server.
func TestSources(t *testing.T) {
	testkit.NoLeaks(t)
	var mu sync.Mutex
	var used []string
	full := map[string]bool{}
	dial := func(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		used = append(used, source.String())
		if full[source.String()] {
			return nil, &net.OpError{Op: "dial", Err: syscall.EADDRNOTAVAIL}
		}
		return direct(ctx, source, address)
	}
	check := func(address string, sources ...string) error {
		t.Helper()
		used = nil
		o := server(TLSNone, nil, address)
		for _, s := range sources {
			o.Sources = append(o.Sources, netip.MustParseAddr(s))
		}
		tier, err := newTestTier(t.Context(), Options{Servers: []ServerOptions{o},
			Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}}}, Upstream: dialing(dial)})
		if err != nil {
			t.Fatal(err)
		}
		return errors.Join(tier.Check(testkit.Context(t), "mbx1"), tier.Check(testkit.Context(t), "mbx1"))
	}
	hello := dialogue{greeting}
	expect := func(want string) {
		t.Helper()
		if got := strings.Join(used, " "); got != want {
			t.Errorf("connected from %s, want %s", got, want)
		}
	}
	if err := check(fake(t, nil, hello, hello), "127.0.0.2", "::1", "127.0.0.3"); err != nil {
		t.Error(err)
	}
	expect("127.0.0.3 127.0.0.2")
	full["127.0.0.3"] = true
	if err := check(fake(t, nil, hello, hello), "127.0.0.2", "127.0.0.3"); err != nil {
		t.Error(err)
	}
	expect("127.0.0.3 127.0.0.2 127.0.0.2")
	full["127.0.0.2"] = true
	if err := check("127.0.0.1:1", "127.0.0.2", "127.0.0.3"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Error(err)
	}
	expect("127.0.0.3 127.0.0.2 127.0.0.2 127.0.0.3")
}

// What Portico tells a mailbox server that trusts it about the client. What is not known, or cannot be said, is left
// out.
func TestIDOfTheClient(t *testing.T) {
	for _, test := range []struct {
		client ClientInfo
		want   string
	}{
		{ClientInfo{}, `("name" "Portico")`},
		{ClientInfo{Addr: netip.MustParseAddrPort("192.0.2.7:5000"),
			Local: netip.MustParseAddrPort("[2001:db8::8]:993"), SessionID: "0123", Hops: 3},
			`("name" "Portico" "x-originating-ip" "192.0.2.7" "x-originating-port" "5000" "x-connected-ip" "2001:db8::8" "x-connected-port" "993"` +
				` "x-session-id" "0123" "x-proxy-ttl" "3")`},
		{ClientInfo{Addr: netip.MustParseAddrPort("[::ffff:192.0.2.7]:1"), SessionID: "a\r\nb", Hops: 1},
			`("name" "Portico" "x-originating-ip" "192.0.2.7" "x-originating-port" "1" "x-proxy-ttl" "1")`},
		{ClientInfo{Addr: netip.MustParseAddrPort("[fe80::1%eth0]:1")},
			`("name" "Portico" "x-originating-ip" "fe80::1" "x-originating-port" "1")`},
	} {
		if got, want := string(appendID([]byte("x"), "t", test.client)), "xt ID "+test.want+"\r\n"; got != want {
			t.Errorf("%+v: %q, want %q", test.client, got, want)
		}
	}
}

// A check fails wherever the way to the sign-in fails.
func TestCheckFails(t *testing.T) {
	testkit.NoLeaks(t)
	for name, test := range map[string]struct {
		tls   TLSMode
		says  dialogue
		phase string
	}{
		"greeting":    {TLSNone, dialogue{"S: * BYE busy"}, PhaseGreeting},
		"no greeting": {TLSNone, dialogue{"close"}, PhaseGreeting},
		"STARTTLS":    {TLSStartTLS, dialogue{"S: * OK [CAPABILITY IMAP4rev1] hi", "close"}, ""},
	} {
		tier := tier(t, Timeouts{}, server(test.tls, nil, fake(t, nil, test.says)))
		if e := failure(t, tier.Check(testkit.Context(t), "mbx1")); test.phase != "" && e.Phase != test.phase {
			t.Errorf("%s: %v", name, e)
		}
	}
}
