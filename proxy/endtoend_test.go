package proxy

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/backendtest/testkit/complete"
	"portico/proxy/relay"
	"portico/proxy/setup"
)

// realTier puts a memory server with TLS and the real relay behind the server.
func realTier(t *testing.T) func(*Options) {
	t.Helper()
	serverTLS, trust := testkit.TLS(t)
	memory, err := backendtest.NewMemory(backendtest.MemoryOptions{
		Name: "mbx1", TLSConfig: serverTLS,
		Users: []backendtest.User{{Name: "bob", Password: "secret",
			Mail: backendtest.DemoMail("bob", "mbx1", time.Now())}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tier := complete.Tier(t, backend.Options{
		Servers: []backend.ServerOptions{{
			Name: "mbx1", Addresses: []string{testkit.Serve(t, memory)}, TLS: backend.TLSStartTLS, TLSConfig: trust,
		}},
		Databases: []backend.DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}}},
		Upstream:  Upstream{Dialer: setup.Dialer{Dialer: &net.Dialer{}}},
	})
	return func(o *Options) {
		carrier, err := relay.New(complete.Relay(relay.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		o.Relay, o.Settings.Tier, o.SigninThreads = carrier, tier, 1
	}
}

func TestEndToEnd(t *testing.T) {
	for name, mode := range map[string]TLSMode{"plain": TLSNone, "starttls": TLSStartTLS, "tls": TLSImplicit} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			h := start(t, mode, realTier(t))
			p := h.client()
			if mode == TLSStartTLS {
				p.send("s STARTTLS\r\n")
				p.expect("s OK ")
				p = newPeer(t, tls.Client(p.Conn, h.roots))
			}
			p.send("a LOGIN bob wrong\r\n")
			p.expect("a NO [AUTHENTICATIONFAILED] ")
			p.send("b LOGIN bob secret\r\nc SELECT INBOX\r\nd FETCH 1 BODY[]\r\n")
			if answer := p.until("b OK "); strings.Contains(answer, "STARTTLS") {
				t.Errorf("capabilities of the server's own: %q", answer)
			}
			p.until("c OK ")
			if mail := p.until("d OK "); !strings.Contains(mail, "FETCH (") {
				t.Errorf("fetched %q", mail)
			}
			p.send("e LOGOUT\r\n")
			p.until("e OK ")
			p.rest()
			p.Close()
			h.server.Close()
			if !strings.Contains(h.log.String(), `"reason":"logout"`) || h.ended(OutcomeSignedIn) != 1 {
				t.Errorf("log:\n%s", h.log)
			}
		})
	}
}

func TestShutdownDrainsSignedInSessions(t *testing.T) {
	testkit.NoLeaks(t)
	h := start(t, TLSNone, realTier(t))
	p := h.client()
	p.send("a LOGIN bob secret\r\n")
	p.until("a OK ")
	done := make(chan error)
	go func() { done <- h.server.Shutdown(testkit.Context(t)) }()
	if told := p.rest(); !strings.HasPrefix(told, "* BYE ") {
		t.Errorf("told %q", told)
	}
	p.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Many sign in at once through one slot: none starves, and no two of those that wait for a server block each other.
func TestManySignInOnOneThread(t *testing.T) {
	testkit.NoLeaks(t)
	h := start(t, TLSNone, realTier(t))
	var peers []*peer
	for range 30 {
		p := h.client()
		p.send("a LOGIN bob secret\r\n")
		peers = append(peers, p)
	}
	for _, p := range peers {
		p.until("a OK ")
	}
	for _, phase := range phaseNames[phaseConversation:] {
		if n := h.metric("portico_signin_duration_seconds", "phase", phase); n != 30 {
			t.Errorf("phase %s measured %v times", phase, n)
		}
	}
	h.server.Close()
	if n := strings.Count(h.log.String(), "session ended"); n != 30 {
		t.Errorf("%d of 30 ends logged", n)
	}
}

// until reads lines up to the tagged one that begins with prefix, and returns them all. Another answer to that tag is
// a failure.
func (p *peer) until(prefix string) string {
	p.t.Helper()
	tag, _, _ := strings.Cut(prefix, " ")
	var all strings.Builder
	for {
		line := p.expect("")
		all.WriteString(line)
		if strings.HasPrefix(line, prefix) {
			return all.String()
		}
		if strings.HasPrefix(line, tag+" ") {
			p.t.Fatalf("got %q, want %q", line, prefix)
		}
	}
}
