package proxy

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portico/backend"
	"portico/proxy/relay"
	"portico/proxy/wire"
)

// Each row is a way to sign in, and the credential that has to arrive.
func TestSignIn(t *testing.T) {
	const user, mixed = "bob@example.org", "Bob"
	tests := []struct {
		name  string
		lines []string // sent one by one, each after the answer to the one before
		asks  []string // what the server says in between
		want  backend.Credential
	}{
		{"login with atoms", []string{"a LOGIN Bob secret\r\n"}, nil, backend.Credential{Username: mixed}},
		{"login quoted", []string{"a login \"Bob\" \"secret\"\r\n"}, nil, backend.Credential{Username: mixed}},
		{"login with literals", []string{"a LOGIN {3}\r\n", "Bob {6}\r\n", "secret\r\n"}, []string{"+ ", "+ "},
			backend.Credential{Username: mixed}},
		{"login with literals unasked", []string{"a LOGIN {3+}\r\nBob {6+}\r\nsecret\r\n"}, nil,
			backend.Credential{Username: mixed}},
		{"plain with initial response", []string{"a AUTHENTICATE PLAIN AEJvYgBzZWNyZXQ=\r\n"}, nil,
			backend.Credential{Mechanism: "PLAIN", Username: mixed}},
		{"plain", []string{"a authenticate plain\r\n", "AEJvYgBzZWNyZXQ=\r\n"}, []string{"+ \r\n"},
			backend.Credential{Mechanism: "PLAIN", Username: mixed}},
		{"plain for another", []string{"a AUTHENTICATE PLAIN Qm9iAGFkbWluAHNlY3JldA==\r\n"}, nil,
			backend.Credential{Mechanism: "PLAIN", Authzid: mixed, Username: "admin"}},
		{"mechanism login", []string{"a AUTHENTICATE LOGIN\r\n", "Qm9i\r\n", "c2VjcmV0\r\n"},
			[]string{"+ VXNlcm5hbWU6\r\n", "+ UGFzc3dvcmQ6\r\n"},
			backend.Credential{Mechanism: "LOGIN", Username: mixed}},
		{"mechanism login with initial response", []string{"a AUTHENTICATE LOGIN Qm9i\r\n", "c2VjcmV0\r\n"},
			[]string{"+ UGFzc3dvcmQ6\r\n"}, backend.Credential{Mechanism: "LOGIN", Username: mixed}},
	}
	for _, test := range tests {
		for mode, name := range map[TLSMode]string{TLSNone: "plain", TLSImplicit: "tls"} {
			t.Run(test.name+" "+name, func(t *testing.T) {
				h := start(t, mode, func(o *Options) { o.Settings.DefaultDomain = "Example.ORG" })
				asked := make(chan backend.SignInRequest, 1)
				h.tier.signIn = func(_ context.Context, q backend.SignInRequest) (*backend.Link, error) {
					asked <- q
					return fakeLink(q), nil
				}
				p := h.client()
				for i, line := range test.lines {
					p.send(line)
					if i < len(test.asks) {
						p.expect(test.asks[i])
					}
				}
				p.expect("* OK hello\r\n")
				p.expect("a OK signed in\r\n")
				test.want.Password = "secret"
				q := <-asked
				if q.Credential != test.want || q.User != user || q.Tag != "a" ||
					q.Client.TLS != (mode == TLSImplicit) {
					t.Errorf("asked for %+v", q)
				}
				s := h.relay.take(t)
				over := s.Owner.(*relayed)
				if over.user != user || s.Server != "mbx1" || hex.EncodeToString(over.id[:]) != q.Client.SessionID ||
					over.remote.AddrPort().String() != p.LocalAddr().String() ||
					(s.Client.TLS != nil) != (mode == TLSImplicit) {
					t.Errorf("handed over %+v", s)
				}
				if string(s.Upstream.Rest) != "* 1 EXISTS\r\n" || len(s.Client.Rest) != 0 {
					t.Errorf("rests %q and %q", s.Upstream.Rest, s.Client.Rest)
				}
			})
		}
	}
}

func TestPipelinedCommandsGoWithTheSession(t *testing.T) {
	h := start(t, TLSNone, nil)
	p := h.client()
	p.send("a NOOP\r\nb LOGIN bob secret\r\nc SELECT INBOX\r\nd FETCH 1 BODY[]\r\n")
	p.expect("a OK ")
	p.expect("* OK ")
	p.expect("b OK ")
	if rest := string(h.relay.take(t).Client.Rest); rest != "c SELECT INBOX\r\nd FETCH 1 BODY[]\r\n" {
		t.Errorf("handed over %q", rest)
	}
}

func TestRefusals(t *testing.T) {
	refuse := func(e backend.Error) *backend.Error { e.Server = "mbx1"; return &e }
	tests := []struct {
		err  error
		told string
	}{
		{refuse(backend.Error{Kind: backend.KindBadCredential}),
			"a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"},
		{refuse(backend.Error{Kind: backend.KindNoMailbox}), "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"},
		{refuse(backend.Error{Kind: backend.KindDial}), "a NO [UNAVAILABLE] Temporary failure, try again later.\r\n"},
		{refuse(backend.Error{Kind: backend.KindOwnCredential}),
			"a NO [UNAVAILABLE] Temporary failure, try again later.\r\n"},
		{refuse(backend.Error{Kind: backend.KindRefused}),
			"a NO [UNAVAILABLE] Temporary failure, try again later.\r\n"},
		{refuse(backend.Error{Kind: backend.KindRefused, Code: "EXPIRED"}), "a NO [EXPIRED] Sign-in refused.\r\n"},
		{refuse(backend.Error{Kind: backend.KindRefused, Code: "ALERT", Text: "Pay first"}),
			"a NO [ALERT] Pay first\r\n"},
	}
	for _, test := range tests {
		t.Run(test.told, func(t *testing.T) {
			h := start(t, TLSNone, nil)
			h.tier.signIn = func(context.Context, backend.SignInRequest) (*backend.Link,
				error) {
				return nil, test.err
			}
			p := h.client()
			p.send("a LOGIN bob secret\r\nb LOGOUT\r\n")
			if told := p.expect("a NO "); told != test.told {
				t.Errorf("told %q, want %q", told, test.told)
			}
			p.rest()
			if h.refused(outcomeOf(test.err)) != 1 {
				t.Error("not counted")
			}
		})
	}
}

func TestBadCredentialsAreBoundedAndSlow(t *testing.T) {
	waits := make(chan time.Duration, 10)
	began := time.Now()
	h := start(t, TLSNone, func(o *Options) {
		o.Now = func() time.Time { return began }
		o.Settings.Limits.FailedSignIns = 2
		o.Sleep = func(ctx context.Context, d time.Duration) error {
			waits <- d
			return ctx.Err()
		}
	})
	p := h.client()
	p.send("a LOGIN bob wrong\r\nb LOGIN bob worse\r\nc LOGIN bob secret\r\n")
	p.expect("a NO [AUTHENTICATIONFAILED]")
	p.expect("b NO [AUTHENTICATIONFAILED]")
	if told := p.rest(); told != "* BYE Too many failed sign-ins.\r\n" {
		t.Errorf("told %q", told)
	}
	if h.refused(OutcomeBadCredential) != 2 || h.ended(OutcomeTooManyFailed) != 1 {
		t.Error("not counted")
	}
	if log := h.log.String(); strings.Contains(log, "wrong") || strings.Contains(log, "worse") {
		t.Errorf("password in the log:\n%s", log)
	}
	// Another connection does not start from zero; a right password waits for nothing, and then this is the user's
	// address.
	q := h.client()
	q.send("a LOGIN carol wrong\r\nb LOGIN carol secret\r\n")
	q.expect("a NO [AUTHENTICATIONFAILED]")
	q.expect("* OK ")
	r := h.client()
	r.send("a LOGIN carol wrong\r\n")
	r.expect("a NO [AUTHENTICATIONFAILED]")
	for i, want := range []time.Duration{2, 4, 8, 2} {
		if got := <-waits; got != want*time.Second {
			t.Errorf("refusal %d waited %v, want %d s", i+1, got, want)
		}
	}
	if len(waits) > 0 || h.metric("portico_signin_penalty_seconds_total") != 16 {
		t.Errorf("%d more waits; %v s counted", len(waits), h.metric("portico_signin_penalty_seconds_total"))
	}
}

// Whatever it takes to find out that somebody may not sign in, the client is refused at the same time and by the same
// words.
func TestRefusalsTellNobodyWhoExists(t *testing.T) {
	for _, took := range []time.Duration{0, 30 * time.Millisecond, 1900 * time.Millisecond, 2 * time.Second,
		5010 * time.Millisecond} {
		t.Run(took.String(), func(t *testing.T) {
			var clock atomic.Int64
			waits := make(chan time.Duration, 1)
			began := time.Now()
			h := start(t, TLSNone, func(o *Options) {
				o.Now = func() time.Time { return began.Add(time.Duration(clock.Load())) }
				o.Sleep = func(ctx context.Context, d time.Duration) error {
					waits <- d
					return ctx.Err()
				}
			})
			var told []string
			var after []time.Duration
			for i, kind := range []backend.Kind{backend.KindBadCredential, backend.KindNoMailbox,
				backend.KindDisabled} {
				took := took + time.Duration(i)*9*time.Millisecond
				h.tier.signIn = func(context.Context, backend.SignInRequest) (*backend.Link, error) {
					clock.Add(int64(took))
					return nil, &backend.Error{Kind: kind, Server: "mbx1", Phase: backend.PhaseSignIn}
				}
				h.server.authDelays = newAuthDelays(keyHash{}, h.server.opt.Now)
				p := h.client()
				p.send("a LOGIN bob secret\r\n")
				told = append(told, p.expect("a NO "))
				after = append(after, took+<-waits)
				p.Close()
			}
			for i := range told {
				if told[i] != told[0] || after[i] != after[0] {
					t.Errorf("refusal %d: %q after %v; the first: %q after %v", i+1, told[i], after[i],
						told[0], after[0])
				}
			}
			if after[0] < max(took, 2*time.Second) || after[0] > max(took, 2*time.Second)+time.Second {
				t.Errorf("refused after %v", after[0])
			}
		})
	}
}

// A server's own refusal is as slow and as bounded as a bad credential; a server that is not there, and a user with
// too many connections, are bounded as bad commands are.
func TestOtherRefusalsAreBounded(t *testing.T) {
	tests := []struct {
		err    error
		tries  int
		pauses int
		ends   Outcome
	}{
		{&backend.Error{Kind: backend.KindRefused, Code: "ALERT", Text: "no"}, 2, 2, OutcomeTooManyFailed},
		{&backend.Error{Kind: backend.KindRefused}, 2, 2, OutcomeTooManyFailed},
		{&backend.Error{Kind: backend.KindDial}, 3, 0, OutcomeTooManyBad},
		{&backend.Error{Kind: backend.KindOwnCredential}, 3, 0, OutcomeTooManyBad},
		{OutcomeLimitUser, 3, 0, OutcomeTooManyBad},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(outcomeOf(test.err), test.tries), func(t *testing.T) {
			pauses := make(chan struct{}, 3)
			h := start(t, TLSNone, func(o *Options) {
				sleep := o.Sleep
				o.Settings.Limits.FailedSignIns, o.Settings.Limits.BadCommands = 2, 3
				o.Sleep = func(ctx context.Context, d time.Duration) error {
					pauses <- struct{}{}
					return sleep(ctx, d)
				}
			})
			h.tier.signIn = func(context.Context, backend.SignInRequest) (*backend.Link,
				error) {
				return nil, test.err
			}
			p := h.client()
			p.send(strings.Repeat("a LOGIN bob secret\r\n", 4))
			told := p.rest()
			if n := strings.Count(told, "a NO ["); n != test.tries ||
				!strings.HasPrefix(told[strings.LastIndex(told, "* "):], "* BYE ") {
				t.Errorf("told %q", told)
			}
			if len(pauses) != test.pauses || h.refused(outcomeOf(test.err)) != float64(test.tries) ||
				h.ended(test.ends) != 1 {
				t.Errorf("%d pauses; log:\n%s", len(pauses), h.log)
			}
		})
	}
}

func TestLoginType(t *testing.T) {
	tests := []struct {
		loginType LoginType
		mode      TLSMode
		offers    string
		told      string // answer to LOGIN without STARTTLS
	}{
		{SecureLogin, TLSStartTLS, " STARTTLS LOGINDISABLED]", "a NO [PRIVACYREQUIRED] "},
		{PlainTextAuthentication, TLSStartTLS, " STARTTLS LOGINDISABLED]", "a NO [PRIVACYREQUIRED] "},
		{PlainTextLogin, TLSStartTLS, " STARTTLS AUTH=PLAIN AUTH=LOGIN]", "* OK hello"},
		{SecureLogin, TLSNone, " ID LOGINDISABLED]", "a NO [PRIVACYREQUIRED] "},
		{PlainTextLogin, TLSNone, " ID AUTH=PLAIN AUTH=LOGIN]", "* OK hello"},
		{SecureLogin, TLSImplicit, " ID AUTH=PLAIN AUTH=LOGIN]", "* OK hello"},
	}
	commands := []string{"LOGIN bob secret", "AUTHENTICATE PLAIN AGJvYgBzZWNyZXQ=",
		"AUTHENTICATE LOGIN Ym9i\r\nc2VjcmV0"}
	for _, test := range tests {
		for _, command := range commands {
			t.Run(fmt.Sprint(test.loginType, test.mode, command[:16]), func(t *testing.T) {
				h := start(t, test.mode, func(o *Options) { o.Settings.LoginType = test.loginType })
				p := h.dial()
				if test.mode == TLSImplicit {
					p = newPeer(t, tls.Client(p.Conn, h.roots))
				}
				if greeting := p.expect("* OK ["); !strings.Contains(greeting, test.offers) {
					t.Errorf("greeting %q", greeting)
				}
				p.send("a " + command + "\r\n")
				line := p.expect("")
				if strings.HasPrefix(line, "+ ") {
					line = p.expect("")
				}
				if !strings.HasPrefix(line, test.told) {
					t.Errorf("told %q", line)
				}
			})
		}
	}
}

func TestCapabilitiesAfterStartTLS(t *testing.T) {
	h := start(t, TLSStartTLS, func(o *Options) { o.Settings.LoginType = SecureLogin })
	p := h.client()
	p.send("a STARTTLS\r\n")
	p.expect("a OK ")
	p = newPeer(t, tls.Client(p.Conn, h.roots))
	p.send("b CAPABILITY\r\nc ID (\"name\" \"x\" \"version\" NIL)\r\nd ID NIL\r\n")
	p.expect("* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID AUTH=PLAIN AUTH=LOGIN\r\n")
	p.expect("b OK ")
	p.expect("* ID (\"name\" \"Portico\")\r\n")
	p.expect("c OK ")
	p.expect("* ID (\"name\" \"Portico\")\r\n")
	p.expect("d OK ")
	p.send("e LOGIN bob secret\r\n")
	p.expect("* OK ")
	p.expect("e OK ")
	if s := h.relay.take(t); s.Client.TLS == nil {
		t.Error("handed over without its TLS")
	}
}

func TestUserLimit(t *testing.T) {
	h := start(t, TLSNone, func(o *Options) { o.Settings.Limits.ConnectionsPerUser = 1 })
	first := h.client()
	first.send("a LOGIN bob secret\r\n")
	first.expect("* OK ")
	h.relay.take(t)
	second := h.client()
	second.send("a LOGIN BOB secret\r\nb LOGIN carol wrong\r\nc LOGIN carol secret\r\n")
	second.expect("a NO [LIMIT]")
	second.expect("b NO [AUTHENTICATIONFAILED]")
	second.expect("* OK ") // the failed sign-in did not keep carol's place
	if h.refused(OutcomeLimitUser) != 1 {
		t.Error("not counted")
	}
}

func TestRelayThatRefusesKeepsNoCount(t *testing.T) {
	h := start(t, TLSNone, nil)
	h.relay.refuse = errors.New("full")
	p := h.client()
	p.send("a LOGIN bob secret\r\n")
	p.rest()
	h.server.Close()
	if h.ended(OutcomeRelayUnavailable) != 1 {
		t.Error("not counted")
	}
}

// A tier that does not connect by Upstream has connections that the relay cannot take. The session ends, and its
// connection to the mailbox server too.
func TestConnectionsOfAnotherUpstream(t *testing.T) {
	h := start(t, TLSNone, nil)
	near, far := net.Pipe()
	h.tier.signIn = func(_ context.Context, q backend.SignInRequest) (*backend.Link, error) {
		link := fakeLink(q)
		link.Conn.Close()
		link.Conn = near
		return link, nil
	}
	p := h.client()
	p.send("a LOGIN bob secret\r\n")
	p.rest()
	if _, err := far.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection to the mailbox server: %v", err)
	}
	h.server.Close()
	if h.ended(OutcomeInternal) != 1 || !strings.Contains(h.log.String(), "not those of Upstream") {
		t.Errorf("log:\n%s", h.log)
	}
}

func TestSessionEndIsLoggedOnceAndReturnsItsPlace(t *testing.T) {
	h := start(t, TLSNone, nil)
	p := h.client()
	p.send("a LOGIN bob secret\r\n")
	p.expect("* OK ")
	h.relay.take(t)
	if h.metric("portico_sessions", "state", "relayed") != 1 ||
		h.metric("portico_sessions", "state", "signing_in") != 0 {
		t.Error("session not counted as relayed")
	}
	h.relay.end(relay.ReasonLogout)
	h.server.Close()
	log := h.log.String()
	if strings.Count(log, "signed in") != 1 || strings.Count(log, "session ended") != 1 ||
		!strings.Contains(log, `"reason":"logout"`) {
		t.Errorf("log:\n%s", log)
	}
	if h.metric("portico_sessions", "state", "relayed") != 0 {
		t.Error("still counted")
	}
}

func TestSetUpCommandsAreInStats(t *testing.T) {
	h := start(t, TLSNone, nil)
	p := h.client()
	p.send("a NOOP\r\nb LOGIN bob wrong\r\nc LOGIN bob secret\r\n")
	for _, want := range []string{"a OK", "b NO", "* OK", "c OK"} {
		p.expect(want)
	}
	h.relay.take(t)
	commands := h.server.Stats().Servers[""]
	login := commands.Results[wire.VerbLogin]
	if login[relay.ResultOK] != 1 || login[relay.ResultNO] != 1 || commands.Queued != 0 {
		t.Errorf("LOGIN results %v, %d queued", login, commands.Queued)
	}
	for _, phase := range []string{"conversation", "route", "total"} {
		if h.metric("portico_signin_duration_seconds", "phase", phase) == 0 {
			t.Errorf("phase %s was not measured", phase)
		}
	}
}
