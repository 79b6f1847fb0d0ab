package proxy

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/proxy/relay"
	"portico/proxy/wire"
	"portico/sleep"
)

// patience is how long a test waits for what must come.
const patience = testkit.Patience

// harness is a running server with everything around it faked: mailbox servers, relay, metrics, log.
type harness struct {
	t       *testing.T
	server  *Server
	opt     Options
	mode    TLSMode
	address string
	tier    *fakeTier
	relay   *fakeRelay
	metrics *prometheus.Registry
	log     *testkit.Log
	roots   *tls.Config // for clients
}

// start starts a server with one listener; change may alter it before.
func start(t *testing.T, mode TLSMode, change func(*Options)) *harness {
	t.Helper()
	return startListener(t, Listener{Name: "test", TLS: mode}, change)
}

// asks has the mailbox tier take every sign-in, and returns what it is asked.
func (h *harness) asks() <-chan backend.SignInRequest {
	asked := make(chan backend.SignInRequest, 1)
	h.tier.signIn = func(_ context.Context, q backend.SignInRequest) (*backend.Link, error) {
		asked <- q
		return fakeLink(q), nil
	}
	return asked
}

// waitUntil waits for what another goroutine does.
func waitUntil(t *testing.T, so func() bool) {
	t.Helper()
	testkit.Eventually(t, "what was waited for", so)
}

// startDoor is start, for any listener.
func startListener(t *testing.T, listener Listener, change func(*Options)) *harness {
	t.Helper()
	testkit.NoLeaks(t)
	h := &harness{t: t, mode: listener.TLS, tier: &fakeTier{}, relay: newFakeRelay(), metrics: prometheus.NewRegistry(),
		log: &testkit.Log{}}
	h.opt = completed(Options{
		Relay: h.relay, Registerer: h.metrics, Log: zerolog.New(h.log), SigninThreads: 2,
		Sleep:    func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Settings: Settings{Tier: h.tier, LoginType: PlainTextLogin},
	})
	h.opt.Settings.TLS, h.roots = testkit.TLS(t)
	if change != nil {
		change(&h.opt)
	}
	server, err := New(h.opt)
	if err != nil {
		t.Fatal(err)
	}
	h.server = server
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.address = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln, listener) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if unsigned, signed := server.admission.counts(); unsigned != 0 || signed != 0 ||
			len(server.admission.addresses)+len(server.admission.users)+len(server.admission.origins)+
				len(server.admission.originHeap)+
				server.admission.silent.number != 0 {
			t.Errorf("counts leaked: %d before sign-in, %d after, %v, %v", unsigned, signed, server.admission.addresses,
				server.admission.users)
		}
	})
	return h
}

// completed fills in what a test has left out.
func completed(o Options) Options {
	return testkit.Complete(o, Options{
		SigninThreads: 1, Random: rand.Reader, Now: time.Now, Sleep: sleep.For,
		Settings: Settings{
			Banner: "Portico is ready.", Limits: completedLimits(Limits{}),
			AuthDelay: authDelayDefaults, Guesses: guessDefaults,
			Timeouts: Timeouts{
				Handshake: 10 * time.Second, Idle: time.Minute, SetUp: 5 * time.Minute, Write: 10 * time.Second,
			},
		},
	})
}

// completedLimits fills in limits that have to be there.
func completedLimits(l Limits) Limits {
	return testkit.Complete(l, Limits{
		BadCommands: 10, FailedSignIns: 3,
		Commands: wire.Limits{Line: 10 << 10, Literal: 10 << 10, Command: 10 << 10, SASL: 64 << 10},
	})
}

// metric returns the value of a counter or gauge, or the count of a histogram; 0 if it is not there.
func (h *harness) metric(name string, labels ...string) float64 {
	h.t.Helper()
	families, err := h.metrics.Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && hasLabels(m, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return 0
}

func hasLabels(m *dto.Metric, want []string) bool {
	for i := 0; i < len(want); i += 2 {
		found := false
		for _, l := range m.GetLabel() {
			found = found || l.GetName() == want[i] && l.GetValue() == want[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}

// ended returns how many connections ended with a result.
func (h *harness) ended(o Outcome) float64 {
	return h.metric("portico_connections_total", "listener", "test", "result", o.String())
}

// refused returns how many commands were refused with a result.
func (h *harness) refused(o Outcome) float64 {
	return h.metric("portico_signin_refusals_total", "result", o.String())
}

// peer is a client in a test.
type peer struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (h *harness) dial() *peer { return h.dialFrom("127.0.0.1") }

// dialFrom connects from a loopback address.
func (h *harness) dialFrom(addr string) *peer {
	h.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	conn, err := d.Dial("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	return newPeer(h.t, conn)
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &peer{t: t, Conn: conn, in: bufio.NewReader(conn)}
}

// client connects, with TLS where the listener begins so, and reads the greeting.
func (h *harness) client() *peer { return h.clientFrom("127.0.0.1") }

// clientFrom is client from a loopback address.
func (h *harness) clientFrom(addr string) *peer {
	h.t.Helper()
	p := h.dialFrom(addr)
	if h.mode == TLSImplicit {
		p = newPeer(h.t, tls.Client(p.Conn, h.roots))
	}
	p.expect("* OK [CAPABILITY IMAP4rev1 ")
	return p
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, text); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// expect reads one line that begins with prefix.
func (p *peer) expect(prefix string) string {
	p.t.Helper()
	line, err := p.in.ReadString('\n')
	if err != nil {
		p.t.Fatalf("read %q, then: %v; want %q", line, err, prefix)
	}
	if !strings.HasPrefix(line, prefix) {
		p.t.Fatalf("got %q, want %q", line, prefix)
	}
	return line
}

// rest reads until the server closes.
func (p *peer) rest() string {
	p.t.Helper()
	all, err := io.ReadAll(p.in)
	if err != nil {
		p.t.Fatalf("read %q, then: %v", all, err)
	}
	return string(all)
}

// fakeTier is a mailbox tier by functions. Without them everybody's mailbox is in db1 and password "secret" opens it.
type fakeTier struct {
	hold   func(ctx context.Context, q directory.Query) error // what a route waits for
	route  func(user string) (backend.Route, error)
	signIn func(ctx context.Context, q backend.SignInRequest) (*backend.Link, error)

	verify     error
	mechanisms []string // nil for PLAIN and LOGIN
	nameless   bool
}

func (f *fakeTier) RoutesNameless() bool { return f.nameless }

func (f *fakeTier) Canonical(name, domain string) (string, error) {
	return backend.Canonical(name, domain)
}

func (f *fakeTier) Route(ctx context.Context, q directory.Query, _ backend.WaitingClient) (backend.Route, error) {
	if f.hold != nil {
		if err := f.hold(ctx, q); err != nil {
			return backend.Route{}, err
		}
	}
	if f.route != nil {
		route, err := f.route(q.User)
		route.User = cmp.Or(route.User, q.User)
		return route, err
	}
	return backend.Route{User: q.User, Database: "db1", Servers: []string{"mbx1"}}, nil
}

func (f *fakeTier) Verify(context.Context, *backend.Route, directory.Query, backend.WaitingClient) error {
	return f.verify
}

func (f *fakeTier) Mechanisms() []string {
	if f.mechanisms == nil {
		return []string{"PLAIN", "LOGIN"}
	}
	return f.mechanisms
}

func (f *fakeTier) Done(backend.Route) {}

func (f *fakeTier) SignIn(ctx context.Context, _ backend.Route, q backend.SignInRequest) (*backend.Link, error) {
	if f.signIn != nil {
		return f.signIn(ctx, q)
	}
	if q.Credential.Password.Reveal() != "secret" {
		return nil, &backend.Error{Kind: backend.KindBadCredential, Server: "mbx1", Phase: backend.PhaseSignIn}
	}
	return fakeLink(q), nil
}

func fakeLink(q backend.SignInRequest) *backend.Link {
	conn, _ := net.Pipe()
	return &backend.Link{
		Server: "mbx1", Database: "db1", Conn: relay.NewConn(conn),
		Replies: []byte("* OK hello\r\n" + q.Tag + " OK signed in\r\n"), Rest: []byte("* 1 EXISTS\r\n"),
	}
}

// fakeRelay takes sessions and carries nothing.
type fakeRelay struct {
	mu       sync.Mutex
	sessions []relay.Session
	added    chan relay.Session
	refuse   error
	spread   time.Duration       // of the last End
	foreign  []relay.Carried     // sessions that the server has not handed over
	slow     []relay.SlowCommand // what Slow returns
}

func newFakeRelay() *fakeRelay { return &fakeRelay{added: make(chan relay.Session, 16)} }

func (r *fakeRelay) Add(s relay.Session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		s.Client.Conn.Close()
		s.Upstream.Conn.Close()
		s.Owner.Ended(relay.Ending{Reason: relay.ReasonError})
		return r.refuse
	}
	if err := errors.Join(s.Client.Conn.Release(), s.Upstream.Conn.Release()); err != nil {
		return err
	}
	r.sessions = append(r.sessions, s)
	r.added <- s
	return nil
}

func (r *fakeRelay) end(reason relay.Reason) {
	r.End(func(relay.Owner) bool { return true }, reason, 0)
}

func (r *fakeRelay) Drain(context.Context) { r.end(relay.ReasonDrain) }
func (r *fakeRelay) Close()                { r.end(relay.ReasonClosed) }

func (r *fakeRelay) Sessions() (all []relay.Carried) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sessions {
		all = append(all, relay.Carried{Owner: s.Owner, Open: 1})
	}
	return append(all, r.foreign...)
}

func (r *fakeRelay) Slow() []relay.SlowCommand { return r.slow }

func (r *fakeRelay) End(pick func(relay.Owner) bool, reason relay.Reason, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spread = d
	for _, s := range r.foreign {
		pick(s.Owner)
	}
	r.sessions = slices.DeleteFunc(r.sessions, func(s relay.Session) bool {
		if !pick(s.Owner) {
			return false
		}
		s.Client.Conn.Close()
		s.Upstream.Conn.Close()
		s.Owner.Ended(relay.Ending{Reason: reason})
		return true
	})
}

func (r *fakeRelay) Retime(_, _ time.Duration) {}
func (r *fakeRelay) Limit(_, _ int)            {}
func (r *fakeRelay) Rewatch()                  {}
func (r *fakeRelay) Stats() *relay.Stats       { return relay.NewStats() }

// take returns the next session that was handed over.
func (r *fakeRelay) take(t *testing.T) relay.Session {
	t.Helper()
	select {
	case s := <-r.added:
		return s
	case <-time.After(patience):
		t.Fatal("nothing was handed over")
		panic("not reached")
	}
}
