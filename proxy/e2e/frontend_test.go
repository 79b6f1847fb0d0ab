package e2e

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/rs/zerolog"

	"portico/backend"
	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/backendtest/testkit/complete"
	"portico/protolog"
	"portico/proxy"
	"portico/proxy/relay"
	"portico/proxy/setup"
	"portico/proxy/wire"
	"portico/sleep"
)

// options are what a front end may differ in from the usual one.
type options struct {
	servers  []backend.ServerOptions // all hold an interchangeable copy of the one database
	timeouts backend.Timeouts
	settings proxy.Settings // Tier and TLS are filled in
	relay    relay.Options
	log      zerolog.Level
	tier     func(proxy.Tier) proxy.Tier // put around the tier
	backend  func(*backend.Options)      // changes what the tier is made of
	login    proxy.LoginType             // instead of PlainTextLogin, with strict
	strict   bool
	clients  *x509.CertPool // who vouches for clients' certificates
	logged   bool           // everything is in the protocol log

	goroutines bool // instead of sign-in threads and event loops, as where those do not work
}

// frontEnd is a running proxy with three listeners.
type frontEnd struct {
	t       *testing.T
	server  *proxy.Server
	plain   string // address without TLS
	start   string // address with STARTTLS
	tls     string // address with implicit TLS
	trust   *tls.Config
	ca      *backendtest.CA
	tier    proxy.Tier
	metrics *prometheus.Registry
	log     *testkit.Log
	rows    *protolog.Log // its files are in rowsDir
	rowsDir string
}

// front starts a front end that stops with the test, which must not leak by then: call it behind the start of what
// outlives the test. Passwords may travel in plain text unless it is strict, and bad ones neither pause nor are
// bounded in number.
func startFrontEnd(t *testing.T, o options) *frontEnd {
	t.Helper()
	f := &frontEnd{t: t, metrics: prometheus.NewRegistry(), log: &testkit.Log{}}
	f.tier = newTier(t, o)
	serverTLS := f.certify()
	o.settings.LoginType = proxy.PlainTextLogin
	if o.strict {
		o.settings.LoginType = o.login
	}
	if o.clients != nil {
		serverTLS.ClientCAs, serverTLS.ClientAuth = o.clients, tls.VerifyClientCertIfGiven
	}
	o.settings.TLS, o.settings.Tier = serverTLS, f.tier
	f.rowsDir = filepath.Join(t.TempDir(), "protocol-log")
	var err error
	f.rows, err = protolog.New(protolog.Options{
		Settings: protolog.Settings{Enabled: o.logged,
			Files: protolog.FileSettings{Location: f.rowsDir, RollOver: protolog.Monthly}},
		Loops: max(o.relay.Loops, 1), Registerer: f.metrics, Log: zerolog.New(f.log),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.rows.Close)
	var check func() error // the default
	if o.goroutines {
		check = func() error { return errors.New("the test wants goroutines") }
	}
	o.relay.Watch, o.relay.Check = proxy.Watch(f.rows), check
	carrier, err := relay.New(complete.Relay(o.relay))
	if err != nil {
		t.Fatal(err)
	}
	f.server, err = proxy.New(completed(proxy.Options{
		Settings: o.settings, Relay: carrier, Registerer: f.metrics, SigninThreads: 2, CheckThreads: check,
		Log: zerolog.New(f.log).Level(o.log), ProtocolLog: f.rows,
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.server.Close)
	f.plain = f.listen("plain", proxy.TLSNone)
	f.start = f.listen("starttls", proxy.TLSStartTLS)
	f.tls = f.listen("tls", proxy.TLSImplicit)
	return f
}

// completed fills in what a test has left out.
func completed(o proxy.Options) proxy.Options {
	o.Settings = completedSettings(o.Settings)
	return testkit.Complete(o, proxy.Options{
		SigninThreads: 1, Random: rand.Reader, Now: time.Now, Sleep: sleep.For,
	})
}

// completedSettings fills in what a test has left out. Bad credentials neither wait nor are bounded in number.
func completedSettings(s proxy.Settings) proxy.Settings {
	return testkit.Complete(s, proxy.Settings{
		Banner: "Portico is ready.",
		Limits: proxy.Limits{
			BadCommands: 10, FailedSignIns: 3,
			Commands: wire.Limits{Line: 10 << 10, Literal: 10 << 10, Command: 10 << 10, SASL: 64 << 10},
		},
		Timeouts: proxy.Timeouts{
			Handshake: 10 * time.Second, Idle: time.Minute, SetUp: 5 * time.Minute, Write: 10 * time.Second,
		},
		AuthDelay: proxy.AuthDelayOptions{Longest: 15 * time.Second, Forget: time.Hour},
	})
}

func newTier(t *testing.T, o options) proxy.Tier {
	t.Helper()
	var copies []string
	for _, s := range o.servers {
		copies = append(copies, s.Name)
	}
	of := backend.Options{
		Servers:   o.servers,
		Databases: []backend.DatabaseOptions{{Name: "db1", Copies: copies, Interchangeable: true}},
		Upstream:  proxy.Upstream{Dialer: setup.Dialer{Dialer: &net.Dialer{KeepAlive: -1}}},
		Timeouts:  o.timeouts,
	}
	if o.backend != nil {
		o.backend(&of)
	}
	tier := complete.Tier(t, of)
	if o.tier != nil {
		return o.tier(tier)
	}
	return tier
}

// certify makes the front end's certificate and what clients trust it by.
func (f *frontEnd) certify() *tls.Config {
	f.t.Helper()
	ca, err := backendtest.NewCA("Front end test CA")
	if err != nil {
		f.t.Fatal(err)
	}
	cert, err := ca.Issue(backendtest.CertOptions{Hosts: []string{"localhost", "127.0.0.1"}})
	if err != nil {
		f.t.Fatal(err)
	}
	f.ca, f.trust = ca, ca.ClientConfig("localhost")
	return cert.ServerConfig()
}

func (f *frontEnd) listen(name string, mode proxy.TLSMode) string {
	f.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(ln, proxy.Listener{Name: name, TLS: mode}) }()
	f.t.Cleanup(func() {
		f.server.Close()
		if err := <-served; err != nil {
			f.t.Errorf("listener %s: %v", name, err)
		}
	})
	return ln.Addr().String()
}

// caFile writes what clients trust to a file.
func (f *frontEnd) caFile() string {
	f.t.Helper()
	path := filepath.Join(f.t.TempDir(), "front.crt")
	if err := os.WriteFile(path, f.ca.CertPEM, 0o644); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// way is one way in: a listener and what a client does to get TLS there.
type way struct {
	name    string
	address func(*frontEnd) string
	tls     proxy.TLSMode
}

var ways = []way{
	{"plain", func(f *frontEnd) string { return f.plain }, proxy.TLSNone},
	{"starttls", func(f *frontEnd) string { return f.start }, proxy.TLSStartTLS},
	{"tls", func(f *frontEnd) string { return f.tls }, proxy.TLSImplicit},
}

// dial connects by a way, up to and including the greeting and STARTTLS.
func (f *frontEnd) dial(w way) *testkit.Conn {
	f.t.Helper()
	var config *tls.Config
	if w.tls == proxy.TLSImplicit {
		config = f.trust
	}
	c := testkit.Dial(f.t, w.address(f), config)
	c.Expect("* OK [CAPABILITY IMAP4rev1 *")
	if w.tls == proxy.TLSStartTLS {
		c.Command("s", "STARTTLS")
		c.StartTLS(f.trust)
	}
	return c
}

// signIn connects by a way and signs in.
func (f *frontEnd) signIn(w way, user string) *testkit.Conn {
	f.t.Helper()
	c := f.dial(w)
	c.Command("l", "LOGIN "+user+" "+password)
	return c
}

// metric returns the sum of a counter's or gauge's values, or of a histogram's counts, over all series that have the
// labels.
func (f *frontEnd) metric(name string, labels ...string) (sum float64) {
	f.t.Helper()
	families, err := f.metrics.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			has := make(map[string]string)
			for _, l := range m.GetLabel() {
				has[l.GetName()] = l.GetValue()
			}
			fits := true
			for i := 0; i < len(labels); i += 2 {
				fits = fits && has[labels[i]] == labels[i+1]
			}
			if fits {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

// metricsText is what a scrape would show.
func (f *frontEnd) metricsText() string {
	f.t.Helper()
	families, err := f.metrics.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	var text strings.Builder
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			f.t.Fatal(err)
		}
	}
	return text.String()
}

// gone waits until no connection is counted any more.
func (f *frontEnd) gone() {
	f.t.Helper()
	testkit.Eventually(f.t, "no session is counted", func() bool { return f.metric("portico_sessions") == 0 })
}
