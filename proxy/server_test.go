package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/proxy/relay"
)

func TestShutdownSaysGoodbyeToSessionsInSetUp(t *testing.T) {
	h := start(t, TLSNone, nil)
	h.tier.signIn = func(ctx context.Context, _ backend.SignInRequest) (*backend.Link, error) {
		<-ctx.Done()
		return nil, &backend.Error{Kind: backend.KindCancelled, Err: context.Cause(ctx)}
	}
	idle, signing := h.client(), h.client()
	signing.send("a LOGIN bob secret\r\n")
	if err := h.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*peer{idle, signing} {
		if told := p.rest(); told != "* BYE [UNAVAILABLE] Shutting down, try again.\r\n" {
			t.Errorf("told %q", told)
		}
	}
	if h.ended(OutcomeDraining) != 2 {
		t.Errorf("log:\n%s", h.log)
	}
	if conn, err := net.Dial("tcp", h.address); err == nil {
		conn.Close()
		t.Error("still listening")
	}
}

func TestShutdownEndsThePauseAfterABadCredential(t *testing.T) {
	pausing := make(chan struct{})
	h := start(t, TLSNone, func(o *Options) {
		o.Sleep = func(ctx context.Context, _ time.Duration) error {
			close(pausing)
			<-ctx.Done()
			return ctx.Err()
		}
	})
	p := h.client()
	p.send("a LOGIN bob wrong\r\n")
	<-pausing
	if err := h.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.expect("a NO ")
	p.expect("* BYE [UNAVAILABLE]")
}

// A relay that does not get done is closed at the context's end, and that is said.
func TestShutdownWithoutTime(t *testing.T) {
	h := start(t, TLSNone, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	late := errors.New("too late")
	cancel(late)
	if err := h.server.Shutdown(ctx); err != late {
		t.Errorf("got %v", err)
	}
	if err := h.server.Shutdown(t.Context()); err != nil {
		t.Errorf("second time: %v", err)
	}
}

func TestServeAfterShutdown(t *testing.T) {
	h := start(t, TLSNone, nil)
	h.server.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.server.Serve(ln, Listener{Name: "late"}); err != nil {
		t.Error(err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("listener left open: %v", err)
	}
}

func TestPanicEndsOneSession(t *testing.T) {
	h := start(t, TLSNone, nil)
	h.tier.route = func(user string) (backend.Route, error) {
		if user == "mallory" {
			panic("lookup of " + user)
		}
		return backend.Route{}, nil
	}
	other, p := h.client(), h.client()
	p.send("a LOGIN mallory secret\r\n")
	if told := p.rest(); told != "* BYE [SERVERBUG] Internal error.\r\n" {
		t.Errorf("told %q", told)
	}
	if h.ended(OutcomePanic) != 1 || !strings.Contains(h.log.String(), "server_test.go") {
		t.Errorf("not counted, or without its stack; log:\n%s", h.log)
	}
	if n := h.server.Stats().Servers[""].Queued; n != 0 {
		t.Errorf("%d commands are still queued", n)
	}
	other.send("a LOGIN bob secret\r\n")
	other.expect("* OK ")
}

func TestLimitsAreAnsweredOnAccept(t *testing.T) {
	tests := []struct {
		mode   TLSMode
		limits Limits
		want   Outcome
		told   string
	}{
		{TLSNone, Limits{Connections: 1}, OutcomeLimitTotal, "* BYE [LIMIT] Too many connections.\r\n"},
		{TLSStartTLS, Limits{ConnectionsPerAddress: 1}, OutcomeLimitAddress,
			"* BYE [LIMIT] Too many connections.\r\n"},
	}
	for _, test := range tests {
		t.Run(test.want.String(), func(t *testing.T) {
			h := start(t, test.mode, func(o *Options) { o.Settings.Limits = completedLimits(test.limits) })
			first := h.client()
			if told := h.dial().rest(); told != test.told {
				t.Errorf("told %q", told)
			}
			if h.ended(test.want) != 1 {
				t.Error("not counted")
			}
			first.Close()
			testkit.Eventually(t, "the first has given its place back", func() bool {
				return h.metric("portico_sessions", "state", "signing_in") == 0
			})
			h.client() // there is room again
		})
	}
}

func TestReload(t *testing.T) {
	h := start(t, TLSNone, nil)
	before := h.client()
	changed := h.opt.Settings
	changed.Banner = "Changed."
	changed.LoginType = SecureLogin
	if err := h.server.Reload(changed, nil); err != nil {
		t.Fatal(err)
	}
	if greeting := h.dial().expect("* OK "); !strings.Contains(greeting, "LOGINDISABLED] Changed.") {
		t.Errorf("greeting %q", greeting)
	}
	before.send("a LOGIN bob secret\r\n")
	before.expect("* OK ") // began when that was allowed
	for name, change := range map[string]func(*Settings){
		"no tier":                 func(s *Settings) { s.Tier = nil },
		"no TLS any more":         func(s *Settings) { s.TLS = nil },
		"two lines of banner":     func(s *Settings) { s.Banner = "a\r\nb" },
		"a response code as such": func(s *Settings) { s.Banner = "[ALERT] x" },
	} {
		bad := changed
		change(&bad)
		if err := h.server.Reload(bad, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if greeting := h.dial().expect("* OK "); !strings.Contains(greeting, "Changed.") {
		t.Errorf("a refused reload changed the greeting: %q", greeting)
	}
}

func TestNewRefuses(t *testing.T) {
	for field, change := range map[string]func(*Options){
		"Relay":                    func(o *Options) { o.Relay = nil },
		"SigninThreads":            func(o *Options) { o.SigninThreads = 0 },
		"Random":                   func(o *Options) { o.Random = nil },
		"Now":                      func(o *Options) { o.Now = nil },
		"Sleep":                    func(o *Options) { o.Sleep = nil },
		"Tier":                     func(o *Options) { o.Settings.Tier = nil },
		"Banner":                   func(o *Options) { o.Settings.Banner = "" },
		"Limits.Connections":       func(o *Options) { o.Settings.Limits.Connections = -1 },
		"Limits.Commands.Line":     func(o *Options) { o.Settings.Limits.Commands.Line = 0 },
		"Limits.Commands.Literal":  func(o *Options) { o.Settings.Limits.Commands.Literal = 0 },
		"Limits.Commands.Command":  func(o *Options) { o.Settings.Limits.Commands.Command = 0 },
		"Limits.Commands.SASL":     func(o *Options) { o.Settings.Limits.Commands.SASL = 0 },
		"Limits.BadCommands":       func(o *Options) { o.Settings.Limits.BadCommands = 0 },
		"Limits.FailedSignIns":     func(o *Options) { o.Settings.Limits.FailedSignIns = 0 },
		"Timeouts.Handshake":       func(o *Options) { o.Settings.Timeouts.Handshake = 0 },
		"Timeouts.Idle":            func(o *Options) { o.Settings.Timeouts.Idle = 0 },
		"Timeouts.SetUp":           func(o *Options) { o.Settings.Timeouts.SetUp = 0 },
		"Timeouts.Write":           func(o *Options) { o.Settings.Timeouts.Write = 0 },
		"AuthDelay.First":          func(o *Options) { o.Settings.AuthDelay.First = -1 },
		"AuthDelay.Longest":        func(o *Options) { o.Settings.AuthDelay.Longest = 0 },
		"AuthDelay.Forget":         func(o *Options) { o.Settings.AuthDelay.Forget = 0 },
		"Guesses.AtOnce":           func(o *Options) { o.Settings.Guesses.AtOnce = -1 },
		"Guesses.PerMinute":        func(o *Options) { o.Settings.Guesses.PerMinute = 0 },
		"Guesses.AddressPerMinute": func(o *Options) { o.Settings.Guesses.AddressPerMinute = 0 },
	} {
		o := completed(Options{Relay: newFakeRelay(), Settings: Settings{Tier: &fakeTier{}}})
		change(&o)
		s, err := New(o)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), " "+field+" ") {
			t.Errorf("without %s: %v", field, err)
		}
	}
	registry := prometheus.NewRegistry()
	for _, want := range []bool{true, false} {
		s, err := New(completed(Options{Relay: newFakeRelay(), Settings: Settings{Tier: &fakeTier{}},
			Registerer: registry}))
		if (err == nil) != want {
			t.Errorf("metrics registered: %v", err)
		}
		if s != nil {
			defer s.Close()
		}
	}
}

// brokenListener fails to accept a few times and then reports that it is closed.
type brokenListener struct {
	net.Listener
	failures int
}

func (l *brokenListener) Accept() (net.Conn, error) {
	if l.failures--; l.failures < 0 {
		return nil, net.ErrClosed
	}
	return nil, errors.New("no descriptors")
}

func (l *brokenListener) Close() error { return nil }

func TestAcceptBacksOff(t *testing.T) {
	var pauses []time.Duration
	h := start(t, TLSNone, func(o *Options) {
		o.Sleep = func(_ context.Context, d time.Duration) error {
			pauses = append(pauses, d)
			return nil
		}
	})
	err := h.server.Serve(&brokenListener{failures: 10}, Listener{Name: "broken"})
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("a listener closed by somebody else: %v", err)
	}
	if len(pauses) != 10 || pauses[0] != 5*time.Millisecond || pauses[1] != 10*time.Millisecond ||
		pauses[9] != time.Second {
		t.Errorf("pauses %v", pauses)
	}
	if h.metric("portico_accept_errors_total", "listener", "broken") != 10 {
		t.Error("not counted")
	}
}

func TestListenerNeedsItsCertificate(t *testing.T) {
	h := start(t, TLSNone, func(o *Options) { o.Settings.TLS = nil })
	if err := h.server.Serve(&brokenListener{}, Listener{Name: "secure", TLS: TLSImplicit}); err == nil {
		t.Error("served without a certificate")
	}
}

// Clients that leave in every way, with few slots and many at once, must leave nothing behind; start's clean-up checks
// that.
func TestAbnormalEndsLeaveNothing(t *testing.T) {
	h := start(t, TLSStartTLS, func(o *Options) {
		o.SigninThreads = 1
		o.Settings.Guesses.AtOnce = 0 // wrong and right ones come from one address
	})
	leave := []func(*peer){
		func(p *peer) {},
		func(p *peer) { p.Conn.(*net.TCPConn).SetLinger(0) },
		func(p *peer) { p.send("a LOGIN {3}\r\n") },
		func(p *peer) { p.send("a LOGIN bob wrong\r\n") },
		func(p *peer) { p.send("a LOGIN bob secret\r\n"); p.expect("* OK"); p.expect("a OK") },
		func(p *peer) { p.send("a STARTTLS\r\n"); p.expect("a OK") },
		func(p *peer) { p.send("a AUTHENTICATE LOGIN\r\n"); p.expect("+ ") },
		func(p *peer) { p.send("a LOGOUT\r\n"); p.expect("* BYE") },
	}
	var clients sync.WaitGroup
	for range 10 {
		for _, way := range leave {
			clients.Go(func() {
				p := h.client()
				way(p)
				p.Close()
			})
		}
	}
	go func() {
		for range h.relay.added {
		}
	}()
	clients.Wait()
	h.relay.end(relay.ReasonClient)
	h.server.Close()
	close(h.relay.added)
}

func TestSessionID(t *testing.T) {
	if id := sessionID(strings.NewReader("\x01\x23\x45\x67\x89\xab\xcd\xefmore")); id != "0123456789abcdef" {
		t.Errorf("got %q", id)
	}
	if id := sessionID(io.LimitReader(nil, 0)); len(id) != 16 {
		t.Errorf("without randomness: %q", id)
	}
}

func TestEndingsKeepNoneBack(t *testing.T) {
	admission := newAdmission(time.Now)
	e := endings{admission: admission}
	var loops sync.WaitGroup
	for range 4 {
		loops.Go(func() {
			for range 500 {
				ticket, err := admission.enter(netip.Addr{}, Limits{})
				if err != nil {
					t.Error(err)
					return
				}
				ticket.sign()
				e.put(&relayed{shared: &sharedInfo{}, ending: &relay.Ending{}})
			}
		})
	}
	loops.Wait()
	e.wait()
	if admission.total != 0 {
		t.Errorf("%d not worked off", admission.total)
	}
}
