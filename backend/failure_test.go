package backend

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/secret"
	"portico/proxy/wire"
)

const (
	greeting = "S: * OK [CAPABILITY IMAP4rev1] ready"
	hello    = "S: * OK ready"
)

// TestPlainFailures breaks each stage of a plain connection.
func TestPlainFailures(t *testing.T) {
	testkit.NoLeaks(t)
	quick := Timeouts{Greeting: short}
	tests := []struct {
		name     string
		timeouts Timeouts
		dialogue dialogue
		kind     Kind
		phase    string
	}{
		{"silent", quick, dialogue{}, KindTimeout, PhaseGreeting},
		{"half a greeting", quick, dialogue{"s: * OK rea"}, KindTimeout, PhaseGreeting},
		{"reset", Timeouts{}, dialogue{hello, "C: p1 CAPABILITY", "reset"}, KindClosed, PhaseGreeting},
		{"closed", Timeouts{}, dialogue{"close"}, KindClosed, PhaseGreeting},
		{"BYE", Timeouts{}, dialogue{"S: * BYE [UNAVAILABLE] too many"}, KindBye, PhaseGreeting},
		{"PREAUTH", Timeouts{}, dialogue{"S: * PREAUTH hello root"}, KindGreeting, PhaseGreeting},
		{"NO", Timeouts{}, dialogue{"S: * NO not today"}, KindGreeting, PhaseGreeting},
		{"another protocol", Timeouts{}, dialogue{"S: 220 mail.example.org ESMTP"}, KindGreeting, PhaseGreeting},
		{"nonsense", Timeouts{}, dialogue{"s: \x16\x03\x01\x00\xa5\x01\n"}, KindGreeting, PhaseGreeting},
		{"endless line", Timeouts{}, dialogue{"flood"}, KindGreeting, PhaseGreeting},
		{"no answer to CAPABILITY", quick, dialogue{hello, "C: p1 CAPABILITY"}, KindTimeout, PhaseGreeting},
		{"CAPABILITY refused", Timeouts{}, dialogue{hello, "C: p1 CAPABILITY", "S: p1 BAD what"}, KindGreeting,
			PhaseGreeting},
		{"CAPABILITY empty", Timeouts{}, dialogue{hello, "C: p1 CAPABILITY", "S: p1 OK done"}, KindGreeting,
			PhaseGreeting},
		{"CAPABILITY of another tag", Timeouts{}, dialogue{hello, "C: p1 CAPABILITY", "S: p2 OK done"}, KindGreeting,
			PhaseGreeting},
		{"late PREAUTH", Timeouts{}, dialogue{hello, "C: p1 CAPABILITY", "S: * PREAUTH hello"}, KindGreeting,
			PhaseGreeting},
		{"no answer to LOGIN", Timeouts{SignIn: short}, dialogue{greeting, aliceLogin}, KindTimeout, PhaseSignIn},
		{"reset in LOGIN", Timeouts{}, dialogue{greeting, aliceLogin, "reset"}, KindClosed, PhaseSignIn},
		{"BYE in LOGIN", Timeouts{}, dialogue{greeting, aliceLogin, "S: * BYE bored"}, KindBye, PhaseSignIn},
		{"answer to no command", Timeouts{}, dialogue{greeting, aliceLogin, "S: p7 OK what"}, KindProtocol,
			PhaseSignIn},
		{"CAPABILITY answered without a tag", Timeouts{}, dialogue{hello, "C: p1 CAPABILITY", "S: * BAD what"},
			KindGreeting, PhaseGreeting},
		{"another tag", Timeouts{}, dialogue{greeting, aliceLogin, "S: a2 OK in"}, KindProtocol, PhaseSignIn},
		{"PREAUTH in LOGIN", Timeouts{}, dialogue{greeting, aliceLogin, "S: * PREAUTH hello"}, KindProtocol,
			PhaseSignIn},
		{"continuation of nothing", Timeouts{}, dialogue{greeting, aliceLogin, "S: + more"}, KindProtocol,
			PhaseSignIn},
		{"endless line in LOGIN", Timeouts{}, dialogue{greeting, aliceLogin, "flood"}, KindProtocol, PhaseSignIn},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tier := tier(t, test.timeouts, server(TLSNone, nil, fake(t, nil, test.dialogue)))
			_, err := signInAs(t, tier, alice())
			wantFailure(t, err, test.kind, test.phase)
		})
	}
}

// A server that refuses a sign-in since the account has too many connections has judged it, whether it answers or says
// BYE. Before the sign-in the same words are about the server.
func TestTooManyConnections(t *testing.T) {
	testkit.NoLeaks(t)
	const dovecot = "Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)"
	for _, test := range []struct {
		dialogue dialogue
		crowded  bool
	}{
		{dialogue{greeting, aliceLogin, "S: p1 NO [LIMIT] not now"}, true},
		{dialogue{greeting, aliceLogin, "S: p1 NO [UNAVAILABLE] " + dovecot}, true},
		{dialogue{greeting, aliceLogin, "S: p1 NO Too many connections"}, true},
		{dialogue{greeting, aliceLogin, "S: * BYE [UNAVAILABLE] " + dovecot}, true},
		{dialogue{greeting, aliceLogin, "S: * BYE [LIMIT] not now"}, true},
		{dialogue{greeting, aliceLogin, "S: p1 NO [UNAVAILABLE] not now"}, false},
		{dialogue{greeting, aliceLogin, "S: * BYE bored"}, false},
		{dialogue{"S: * BYE Too many connections"}, false},
	} {
		tier := tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, test.dialogue)))
		_, err := signInAs(t, tier, alice())
		if e := failure(t, err); e.Crowded != test.crowded {
			t.Errorf("%q: Crowded is %v, want %v", test.dialogue[len(test.dialogue)-1], e.Crowded, test.crowded)
		}
	}
}

func wantFailure(t *testing.T, err error, kind Kind, phase string) {
	t.Helper()
	e := failure(t, err)
	if e.Kind != kind || e.Phase != phase || e.Server != "mbx1" {
		t.Errorf("got kind %s in phase %s of %q, want %s in %s of mbx1: %v", e.Kind, e.Phase, e.Server,
			kind, phase, err)
	}
	if strings.Contains(err.Error(), "wonder") {
		t.Errorf("the error shows the password: %v", err)
	}
}

// TestStartTLSFailures breaks STARTTLS in all the ways that somebody between us and the server could.
func TestStartTLSFailures(t *testing.T) {
	testkit.NoLeaks(t)
	const starttls = "C: p1 STARTTLS"
	quick := Timeouts{TLS: short}
	tests := []struct {
		name     string
		timeouts Timeouts
		dialogue dialogue
		kind     Kind
		phase    string
	}{
		{"PREAUTH", Timeouts{}, dialogue{"S: * PREAUTH hello"}, KindGreeting, PhaseGreeting},
		{"no answer", quick, dialogue{greeting, starttls}, KindTimeout, PhaseTLS},
		{"closed", Timeouts{}, dialogue{greeting, starttls, "close"}, KindClosed, PhaseTLS},
		{"NO", Timeouts{}, dialogue{greeting, starttls, "S: p1 NO not here"}, KindTLS, PhaseTLS},
		{"BAD", Timeouts{}, dialogue{greeting, starttls, "S: p1 BAD not here"}, KindTLS, PhaseTLS},
		{"BAD without a tag", Timeouts{}, dialogue{greeting, starttls, "S: * BAD not here"}, KindTLS, PhaseTLS},
		{"injected response", Timeouts{}, dialogue{greeting, starttls, "s: p1 OK go\r\n* CAPABILITY IMAP4rev1\r\n"},
			KindGreeting, PhaseTLS},
		{"injected half line", Timeouts{}, dialogue{greeting, starttls, "s: p1 OK go\r\n*"}, KindGreeting, PhaseTLS},
		{"no handshake", quick, dialogue{greeting, starttls, "S: p1 OK go"}, KindTimeout, PhaseTLS},
		{"closed in the handshake", Timeouts{}, dialogue{greeting, starttls, "S: p1 OK go", "close"},
			KindTLS, PhaseTLS},
		{"silent behind TLS", Timeouts{Greeting: short},
			dialogue{greeting, starttls, "S: p1 OK go", "TLS", "C: p2 CAPABILITY"}, KindTimeout, PhaseGreeting},
	}
	client, config := certificates(t, loopback())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tier := tier(t, test.timeouts, server(TLSStartTLS, client, fake(t, config, test.dialogue)))
			_, err := signInAs(t, tier, alice())
			wantFailure(t, err, test.kind, test.phase)
		})
	}
}

// TestCertificates offers certificates that are not the server's.
func TestCertificates(t *testing.T) {
	testkit.NoLeaks(t)
	now := time.Now()
	isWrongName := func(err error) bool { _, ok := errors.AsType[x509.HostnameError](err); return ok }
	isUnknown := func(err error) bool { _, ok := errors.AsType[x509.UnknownAuthorityError](err); return ok }
	isInvalid := func(err error) bool { _, ok := errors.AsType[x509.CertificateInvalidError](err); return ok }
	tests := []struct {
		name    string
		cert    backendtest.CertOptions
		strange bool // signed by another authority
		as      string
		cause   func(error) bool
	}{
		{"wrong name", backendtest.CertOptions{Hosts: []string{"mail.example.org"}}, false, "", isWrongName},
		{"wrong configured name", loopback(), false, "mail.example.org", isWrongName},
		{"unknown authority", loopback(), true, "", isUnknown},
		{"expired", backendtest.CertOptions{Hosts: []string{"127.0.0.1"}, NotBefore: now.Add(-2 * time.Hour),
			NotAfter: now.Add(-time.Hour)}, false, "", isInvalid},
	}
	for _, test := range tests {
		client, config := certificates(t, test.cert)
		if test.strange {
			client, _ = certificates(t, loopback())
		}
		client.ServerName = test.as
		for _, mode := range []struct {
			name     string
			mode     TLSMode
			dialogue dialogue
		}{
			{"implicit", TLSImplicit, dialogue{"TLS"}},
			{"starttls", TLSStartTLS, dialogue{greeting, "C: p1 STARTTLS", "S: p1 OK go", "TLS"}},
		} {
			t.Run(test.name+"/"+mode.name, func(t *testing.T) {
				tier := tier(t, Timeouts{}, server(mode.mode, client, fake(t, config, mode.dialogue)))
				_, err := signInAs(t, tier, alice())
				wantFailure(t, err, KindTLS, PhaseTLS)
				if !test.cause(err) {
					t.Errorf("wrong cause: %v", err)
				}
			})
		}
	}
}

// A server that ends the connection over a credential that is longer than what it reads has refused it. Of others that
// says nothing.
func TestCredentialThatIsTooLong(t *testing.T) {
	testkit.NoLeaks(t)
	for _, test := range []struct {
		mechanism string
		length    int
		ends      string
		kind      Kind
	}{
		{"", usualPassword + 1, "S: * BYE Input buffer full, aborting", KindBadCredential},
		{"PLAIN", usualPassword + 1, "close", KindBadCredential},
		{"XOAUTH2", usualToken + 1, "close", KindBadCredential},
		{"", usualPassword, "S: * BYE Input buffer full, aborting", KindBye},
		{"", usualPassword + 1, "S: * BYE [UNAVAILABLE] later", KindBye},
		{"PLAIN", usualPassword, "close", KindClosed},
		{"XOAUTH2", usualToken, "close", KindClosed},
	} {
		secretText := strings.Repeat("p", test.length)
		q := SignInRequest{Tag: "a1", User: "alice", Credential: Credential{
			Mechanism: test.mechanism, Username: "alice", Password: secret.Value(secretText),
		}}
		line := `C: p1 LOGIN "alice" "` + secretText + `"`
		switch test.mechanism {
		case "PLAIN":
			line = "C: p1 AUTHENTICATE PLAIN " + b64("\x00alice\x00"+secretText)
		case "XOAUTH2":
			q.Credential.First = secret.Value("user=alice\x01auth=Bearer " + secretText + "\x01\x01")
			line = "C: p1 AUTHENTICATE XOAUTH2 " + b64(q.Credential.First.Reveal())
		}
		offers := "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2] ready"
		_, err := signInAs(t,
			tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, dialogue{offers, line, test.ends}))), q)
		wantFailure(t, err, test.kind, PhaseSignIn)
	}
}

func TestImplicitTLSSilent(t *testing.T) {
	testkit.NoLeaks(t)
	client, _ := certificates(t, loopback())
	tier := tier(t, Timeouts{TLS: short}, server(TLSImplicit, client, fake(t, nil, dialogue{})))
	_, err := signInAs(t, tier, alice())
	wantFailure(t, err, KindTimeout, PhaseTLS)
}

// TestReceivedIsBounded lets a server talk for ever in responses that are each of proper size.
func TestReceivedIsBounded(t *testing.T) {
	testkit.NoLeaks(t)
	talk := slices.Repeat(dialogue{"S: * OK " + strings.Repeat("x", 8<<10)}, 33)
	d := append(dialogue{greeting, aliceLogin}, talk...)
	tier := tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, d)))
	_, err := signInAs(t, tier, alice())
	wantFailure(t, err, KindProtocol, PhaseSignIn)
	if limit, ok := errors.AsType[*wire.LimitError](err); !ok {
		t.Errorf("got %v, want a limit", limit)
	}
}

func TestDialRefused(t *testing.T) {
	testkit.NoLeaks(t)
	l := testkit.Listen(t)
	l.Close()
	_, err := signInAs(t, tier(t, Timeouts{}, server(TLSNone, nil, l.Addr().String())), alice())
	wantFailure(t, err, KindDial, PhaseDial)
}

// hanging never connects to one address.
type hanging struct {
	Upstream
	dead  string
	tried int // how often the dead address was
}

func (h *hanging) Dial(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	if address == h.dead {
		h.tried++
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	}
	return h.Upstream.Dial(ctx, source, address)
}

// TestDialHangs has one address that never answers: alone it is a time-out, beside another it costs its own time,
// once.
func TestDialHangs(t *testing.T) {
	testkit.NoLeaks(t)
	const dead = "192.0.2.1:143"
	alone := tier(t, Timeouts{Dial: short}, server(TLSNone, nil, dead))
	alone.upstream = &hanging{Upstream: alone.upstream, dead: dead}
	_, err := signInAs(t, alone, alice())
	wantFailure(t, err, KindTimeout, PhaseDial)

	well := dialogue{greeting, aliceLogin, signedIn}
	both := tier(t, Timeouts{Dial: short}, server(TLSNone, nil, dead, fake(t, nil, well, well)))
	dialer := &hanging{Upstream: both.upstream, dead: dead}
	both.upstream = dialer
	for range 2 {
		link, err := signInAs(t, both, alice())
		if err != nil {
			t.Fatal(err)
		}
		link.Conn.Close()
	}
	if dialer.tried != 1 {
		t.Errorf("the dead address was tried %d times, want once", dialer.tried)
	}
}

// TestCancelled ends the caller's context while each stage reads.
func TestCancelled(t *testing.T) {
	testkit.NoLeaks(t)
	client, _ := certificates(t, loopback())
	tests := []struct {
		name     string
		mode     TLSMode
		dialogue dialogue
		reads    int
		phase    string
	}{
		{"handshake", TLSImplicit, dialogue{}, 1, PhaseTLS},
		{"greeting", TLSNone, dialogue{}, 1, PhaseGreeting},
		{"signin", TLSNone, dialogue{greeting, aliceLogin}, 2, PhaseSignIn},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			tier := tier(t, Timeouts{}, server(test.mode, client, fake(t, nil, test.dialogue)))
			count := tier.upstream
			tier.upstream = dialing(func(ctx context.Context, from netip.Addr, to string) (net.Conn, error) {
				c, err := count.Dial(ctx, from, to)
				return &cancelling{Conn: c, reads: test.reads, cancel: cancel}, err
			})
			_, err := tier.SignIn(ctx, Route{Database: "db1", Servers: []string{"mbx1"}}, alice())
			wantFailure(t, err, KindCancelled, test.phase)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// cancelling is a connection that cancels a context when a number of reads have begun.
type cancelling struct {
	net.Conn
	reads  int
	cancel func()
}

func (c *cancelling) Read(p []byte) (int, error) {
	if c.reads--; c.reads == 0 {
		c.cancel()
	}
	return c.Conn.Read(p)
}
