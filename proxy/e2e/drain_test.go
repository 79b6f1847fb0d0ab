package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/proxy"
)

const byeDrain = "* BYE [UNAVAILABLE] Going down for maintenance, please connect again"

// A shut-down tells goodbye to those who wait and lets those finish who are in the middle of something.
func TestShutdown(t *testing.T) {
	testkit.NoLeaks(t)
	in := login + "S: ${tag} OK [CAPABILITY IMAP4rev1] in\n"
	server := testkit.Scripted(t, nil,
		in+"eof",
		in+"eof",
		in+"C: ${tag} IDLE\nS: + idling\neof",
		in+"C: ${tag} APPEND INBOX {100}\nS: +\nmark append\nexpect 100\nC: \nS: ${tag} OK appended\neof",
		in+"C: ${tag} FETCH 1 BODY[]\nraw \"* 1 FETCH (BODY[] {20000}\\r\\n\"\nsend 10000\nmark fetch\nwait "+
			"fetch\nsend 10000\nraw \")\\r\\n\"\nS: ${tag} OK fetched\neof",
		greets+"mark signin\nsilent")
	f := startFrontEnd(t, options{servers: []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server.Addr()}}}})

	waiting := f.dial(ways[0])
	plain, secure := f.signIn(ways[0], "ada"), f.signIn(ways[2], "ada")
	idle := f.signIn(ways[1], "ada")
	idle.Send("a IDLE")
	idle.Expect("+ idling")
	appending := f.signIn(ways[0], "ada")
	appending.Send("a APPEND INBOX {100}")
	appending.Expect("+*")
	fetching := f.signIn(ways[2], "ada")
	fetching.Send("a FETCH 1 BODY[]")
	fetching.Expect("* 1 FETCH (BODY[] {20000}")
	signingIn := f.dial(ways[0])
	signingIn.Send("a LOGIN ada " + password)
	must(t, server.Reached(testkit.Context(t), "signin"))
	must(t, server.Reached(testkit.Context(t), "fetch"))

	done := make(chan error, 1)
	go func() { done <- f.server.Shutdown(testkit.Context(t)) }()
	for _, c := range []*testkit.Conn{waiting, signingIn} {
		c.Expect("* BYE [UNAVAILABLE] Shutting down, try again.")
		c.ExpectEOF()
		c.Close()
	}
	for _, c := range []*testkit.Conn{plain, secure, idle} {
		c.Expect(byeDrain)
		c.ExpectEOF()
		c.Close()
	}
	if len(done) != 0 {
		t.Fatal("shut down with commands open")
	}
	appending.SendRaw(strings.Repeat("x", 50))
	appending.SendRaw(strings.Repeat("x", 50) + "\r\n")
	appending.Expect("a OK appended")
	appending.Expect(byeDrain)
	appending.ExpectEOF()
	appending.Close()
	server.Signal("fetch")
	fetching.ReadN(20000)
	fetching.Expect(")")
	fetching.Expect("a OK fetched")
	fetching.Expect(byeDrain)
	fetching.ExpectEOF()
	fetching.Close()
	if err := <-done; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if n := f.metric("portico_sessions_ended_total", "reason", "drain"); n != 5 {
		t.Errorf("%v sessions counted as drained", n)
	}
}

// Who does not finish in time is told so, or cut off in the middle of an answer.
func TestShutdownIsBounded(t *testing.T) {
	testkit.NoLeaks(t)
	in := login + "S: ${tag} OK [CAPABILITY IMAP4rev1] in\n"
	server := testkit.Scripted(t, nil, in+"C: ${tag} NOOP\nmark noop\nsilent",
		in+"C: ${tag} FETCH 1 BODY[]\nraw \"* 1 FETCH (BODY[] {9}\\r\\n\"\nmark fetch\nsilent")
	f := startFrontEnd(t, options{servers: []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server.Addr()}}}})
	stuck := f.signIn(ways[0], "ada")
	stuck.Send("a NOOP")
	must(t, server.Reached(testkit.Context(t), "noop"))
	half := dialStream(t, f.plain, nil)
	half.send("l LOGIN ada " + password + "\r\nb FETCH 1 BODY[]\r\n")
	half.await(0, line(func(l string) bool { return strings.Contains(l, "{9}") }))

	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	began := time.Now()
	err := f.server.Shutdown(ctx)
	if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > short+testkit.Patience/2 {
		t.Errorf("shutdown: %v after %v", err, took)
	}
	stuck.Expect(byeDrain)
	stuck.ExpectEOF()
	if said, end := half.rest(); end != endReset || strings.Contains(said, "BYE") {
		t.Errorf("in the middle of an answer: %s, %q", end, said)
	}
	if err := f.server.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown of what is down: %v", err)
	}
}

// Other settings are for those who come later.
func TestReload(t *testing.T) {
	testkit.NoLeaks(t)
	f := startFrontEnd(t,
		options{servers: []backend.ServerOptions{{Name: "mbx1",
			Addresses: []string{testkit.Scripted(t, nil, accepts).Addr()}}}})
	signedIn, begun := f.signIn(ways[0], "ada"), f.dial(ways[0])

	old := f.tier
	next := newTier(t,
		options{servers: []backend.ServerOptions{{Name: "mbx2",
			Addresses: []string{testkit.Scripted(t, nil, accepts).Addr()}}}})
	freed := make(chan struct{})
	must(t, f.server.Reload(completedSettings(proxy.Settings{Banner: "Other.", LoginType: proxy.SecureLogin,
		TLS: f.certify(), Tier: next,
		Limits: proxy.Limits{ConnectionsPerUser: 1}}), func() { close(freed) }))
	<-freed // no sign-in is under way; the silent client keeps nothing

	signedIn.Command("a", "NOOP")
	begun.Command("a", "LOGIN ada "+password) // by the settings it came with: in plain text, and a second time
	testkit.Eventually(t, "the first is on the old server, the second on the new one", func() bool {
		return f.metric("portico_server_sessions", "server", "mbx1") == 1 &&
			f.metric("portico_server_sessions", "server", "mbx2") == 1
	})
	later := testkit.Dial(t, f.plain, nil)
	later.Expect("* OK [CAPABILITY * LOGINDISABLED] Other.")
	later.Send("a LOGIN bob " + password)
	later.Expect("a NO [PRIVACYREQUIRED]*")
	secure := f.signIn(ways[2], "bob") // by the new certificate
	testkit.Eventually(t, "it is on the new server",
		func() bool { return f.metric("portico_server_sessions", "server", "mbx2") == 2 })
	third := f.dial(ways[2])
	third.Send("a LOGIN bob " + password)
	third.Expect("a NO [LIMIT]*")
	if err := f.server.Reload(completedSettings(proxy.Settings{Tier: old}), nil); err == nil {
		t.Error("settings without TLS were taken")
	}
	for _, c := range []*testkit.Conn{signedIn, begun, secure} {
		c.Command("b", "LOGOUT")
	}
}

// What comes in plain text behind STARTTLS is not taken for what comes behind the handshake.
func TestClientInjection(t *testing.T) {
	for name, behind := range map[string]string{
		"command":         "b LOGIN mallory mallory\r\n",
		"half a command":  "b LOGIN mallory ",
		"literal":         "b LOGIN {7+}\r\nmallory {500+}\r\n",
		"another one":     "b STARTTLS\r\n",
		"many commands":   strings.Repeat("b NOOP\r\n", 50),
		"SASL":            "b AUTHENTICATE PLAIN\r\n",
		"announced bytes": "b LOGIN {100}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			server := testkit.Scripted(t, nil,
				greets+"C: ${tag} LOGIN \"ada\" *\nS: ${tag} OK [CAPABILITY IMAP4rev1] in\nanswer-all")
			f := startFrontEnd(t,
				options{servers: []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server.Addr()}}}})
			c := testkit.Dial(t, f.start, nil)
			c.Expect("* OK*")
			c.SendRaw("a STARTTLS\r\n" + behind)
			c.Expect("a OK *")
			c.StartTLS(f.trust)
			if n := server.Conns(); n != 0 {
				t.Errorf("%d sign-ins in plain text", n)
			}
			c.Send("c LOGIN ada " + password)
			c.Expect("c OK * in")
			c.Command("d", "LOGOUT")
		})
	}
}
