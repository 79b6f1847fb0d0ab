package backend

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// TestDovecot signs in to a real server in every way it knows, and looks into its log for who it believes the client
// to be.
func TestDovecot(t *testing.T) {
	testkit.NoLeaks(t)
	ca, err := backendtest.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(loopback())
	if err != nil {
		t.Fatal(err)
	}
	d := testkit.Dovecot(t, backendtest.DovecotOptions{
		Users:           []backendtest.User{{Name: "alice", Password: `wönd"er`}},
		Certificate:     cert,
		TrustedNetworks: "127.0.0.0/8",
	})
	client := ca.ClientConfig("")
	for _, s := range []ServerOptions{
		server(TLSNone, nil, d.Plain), server(TLSStartTLS, client, d.Plain), server(TLSImplicit, client, d.TLS),
	} {
		s.TrustedID = true
		tier := tier(t, Timeouts{}, s)
		for _, mechanism := range []string{"", "PLAIN", "LOGIN"} {
			t.Run(fmt.Sprintf("tls %d/%s", s.TLS, mechanism), func(t *testing.T) {
				q := alice()
				q.Credential = Credential{Mechanism: mechanism, Username: "alice", Password: `wönd"er`}
				q.Client = ClientInfo{
					Addr:      netip.MustParseAddrPort("192.0.2.7:5000"),
					Local:     netip.MustParseAddrPort("192.0.2.8:993"),
					SessionID: fmt.Sprintf("portico-%d-%s", s.TLS, mechanism),
				}
				link, err := signInAs(t, tier, q)
				if err != nil {
					t.Fatal(err)
				}
				if got := string(link.Replies); !strings.Contains(got, "a1 OK [CAPABILITY ") ||
					strings.Contains(got, "COMPRESS") {
					t.Errorf("replies %q", got)
				}
				// Dovecot logs no sign-in of a client that hangs up before Dovecot's parts have told each other of it.
				for _, want := range []string{"rip=192.0.2.7, lip=192.0.2.8", "session=<" + q.Client.SessionID + ">"} {
					testkit.Eventually(t, "the server's log has "+want,
						func() bool { return strings.Contains(d.ReadLog(), want) })
				}
				hangUp(t, link)
			})
		}
	}
	_, err = signInAs(t, tier(t, Timeouts{}, server(TLSImplicit, client, d.TLS)), alice())
	wantFailure(t, err, KindBadCredential, PhaseSignIn) // once: Dovecot makes a client wait longer each time
}

// hangUp logs out and reads to the end.
func hangUp(t *testing.T, link *Link) {
	t.Helper()
	stream := io.ReadWriter(link.Conn)
	if link.TLS != nil {
		stream = link.TLS
	}
	if _, err := io.WriteString(stream, "a2 LOGOUT\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(stream); err != nil || !strings.Contains(string(answer), "a2 OK") {
		t.Errorf("LOGOUT: %q, %v", answer, err)
	}
}
