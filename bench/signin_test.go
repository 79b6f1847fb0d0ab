package bench

import (
	"context"
	"encoding/base64"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// TestSignInDialogues plays the ways to sign in and to append that depend on the server, word by word.
func TestSignInDialogues(t *testing.T) {
	plain := base64.StdEncoding.EncodeToString([]byte("\x00us\xc3\xa9r \"1\"\x00secret"))
	login := Options{Users: []User{{Name: `us"er\1`, Password: "secret"}}}
	sasl := Options{Users: []User{{Name: "us\xc3\xa9r \"1\"", Password: "secret"}}}
	const end = "C: ${tag} LOGOUT\nS: ${tag} OK bye\n"
	for _, c := range []struct {
		name    string
		options Options
		profile string
		script  string
	}{
		{"quoted", login, "storm", greeting + `C: ${tag} LOGIN "us\"er\\1" "secret"` + "\nS: ${tag} OK\n" + end},
		{"PLAIN at once", sasl, "storm", "S: * OK [CAPABILITY IMAP4rev1 SASL-IR] hi\nC: ${tag} AUTHENTICATE PLAIN " +
			plain + "\nS: ${tag} OK\n" + end},
		{"PLAIN when asked", sasl, "storm", greeting + "C: ${tag} AUTHENTICATE PLAIN\nraw \"+ \\r\\n\"\nC: " + plain +
			"\nS: ${tag} OK\n" + end},
		{"leave to send", Options{Users: someUsers(1)}, "fetch", greeting + `C: ${tag} LOGIN "user1" "secret"
S: ${tag} OK in
C: ${tag} CAPABILITY
S: * CAPABILITY IMAP4rev1
S: ${tag} OK
C: ${tag} CREATE bench-t-0
S: ${tag} OK
C: ${tag} APPEND bench-t-0 () {400}
S: * 1 RECENT
S: + go
expect 400
C: 
S: ${tag} OK
C: ${tag} SELECT bench-t-0
S: * 1 EXISTS
S: ${tag} OK
C: ${tag} UID FETCH 1:* (UID FLAGS RFC822.SIZE)
S: * 1 FETCH (UID 70 FLAGS (\Recent) RFC822.SIZE 400)
S: ${tag} OK
C: ${tag} UID FETCH 70 (UID BODY.PEEK[])
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.NoLeaks(t)
			server := testkit.Scripted(t, nil, c.script+"mark end\nanswer-all\n")
			p := builtInProfile(t, c.profile)
			if p.Storm != nil {
				p.Storm.Logout = true
			} else {
				p = oneMessageProfile(t)
			}
			o := c.options
			o.Targets, o.Profile, o.RunID, o.Sessions = []Target{target(t, server.Addr())}, p, "t", 1
			o.Rate, o.Duration, o.Timeout = 1, 300*time.Millisecond, testkit.Patience
			r := mustRun(t, o)
			if err := server.Reached(testkit.Context(t), "end"); err != nil {
				t.Errorf("%v\n%s", err, table(r))
			}
		})
	}
}

// TestWordsBeforeTLS: bytes in the clear behind the answer to STARTTLS are an attack, not an answer.
func TestWordsBeforeTLS(t *testing.T) {
	testkit.NoLeaks(t)
	server, client := testkit.TLS(t)
	s, err := backendtest.StartScripted(testkit.Listen(t), server,
		greeting+`starttls "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] evil\r\n"`)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := mustRun(t, Options{
		Targets: []Target{target(t, s.Addr())}, Users: someUsers(1), Profile: builtInProfile(t, "storm"),
		TLS: TLSStartTLS, TLSConfig: client,
		Sessions: 1, Duration: 300 * time.Millisecond, Closed: true, Timeout: testkit.Patience,
	})
	if r.errorsOf(KindTLS).Count == 0 || strings.Contains(s.Transcript(), "LOGIN") {
		t.Errorf("%s\n%s", table(r), s.Transcript())
	}
}

// TestWrongCertificate: a server that cannot prove who it is gets no password.
func TestWrongCertificate(t *testing.T) {
	testkit.NoLeaks(t)
	server, _ := testkit.TLS(t)
	_, other := testkit.TLS(t)
	addr := testkit.Serve(t, backendtest.NewSink(server))
	r := mustRun(t, Options{
		Targets: []Target{target(t, addr)}, Users: someUsers(1), Profile: builtInProfile(t, "storm"), TLS: TLSImplicit,
		TLSConfig: other,
		Sessions:  1, Duration: 200 * time.Millisecond, Closed: true,
	})
	if r.errorsOf(KindTLS).Count == 0 || r.rowOf("LOGIN").Count != 0 {
		t.Errorf("%s", table(r))
	}
}

// TestTargetsAndSourcesTakeTurns wants each target to see its share, from the addresses asked for.
func TestTargetsAndSourcesTakeTurns(t *testing.T) {
	testkit.NoLeaks(t)
	targets := []Target{target(t, startSink(t)), target(t, startSink(t))}
	var mu sync.Mutex
	seen := make(map[string]int)
	r := mustRun(t, Options{
		Targets: targets, Users: someUsers(1), Profile: builtInProfile(t, "noop"), Sessions: 12,
		Duration: 100 * time.Millisecond,
		Sources: []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3"),
			netip.MustParseAddr("127.0.0.4")},
		Dial: func(ctx context.Context, source netip.Addr, to *Target) (net.Conn, error) {
			conn, err := dialer(ctx, source, to)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				host, _, _ := net.SplitHostPort(conn.LocalAddr().String())
				seen[host+" "+conn.RemoteAddr().String()]++
			}
			return conn, err
		},
	})
	if len(seen) != 6 || !r.Fine() {
		t.Errorf("%v\n%s", seen, table(r))
	}
	for pair, n := range seen {
		if n != 2 {
			t.Errorf("%s: %d sessions, want 2", pair, n)
		}
	}
}
