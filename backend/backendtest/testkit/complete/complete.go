// Package complete is for tests of packages that stand on backend and proxy/relay: it fills in the options that a test
// has left out. Tests of those two packages have helpers of their own, since this one imports them.
package complete

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/configs/store"
	"portico/proxy/relay"
)

// Tier returns a tier with its databases in force. Without an Upstream it connects and does nothing else: the relay
// cannot take its connections.
func Tier(t testing.TB, o backend.Options) *backend.Tier {
	t.Helper()
	active, err := backend.NewActiveManager(t.Context(), store.Memory(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	offered, err := backend.NewOfferedMechanisms(t.Context(), store.Memory())
	if err != nil {
		t.Fatal(err)
	}
	o.Servers = slices.Clone(o.Servers)
	for i, s := range o.Servers {
		o.Servers[i] = testkit.Complete(s, backend.ServerOptions{
			TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}, Policy: backend.Unrestricted,
		})
	}
	tier, err := backend.New(t.Context(), testkit.Complete(o, backend.Options{
		Mode: directory.ModePassthrough, Active: active, OfferedMechanisms: offered,
		SigninQueues:    backend.NewSigninQueues(time.Now),
		CircuitBreakers: backend.NewCircuitBreakers(time.Now, func() float64 { return 0 }),
		SigninOutcomes:  backend.NewSigninOutcomes(time.Now), Upstream: direct{}, Now: time.Now,
		Timeouts: backend.Timeouts{
			Dial: 5 * time.Second, TLS: 10 * time.Second, Greeting: 10 * time.Second, SignIn: 30 * time.Second,
		},
	}))
	if err == nil {
		_, err = tier.Configure(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return tier
}

// Relay returns options of a relay.
func Relay(o relay.Options) relay.Options {
	return testkit.Complete(o, relay.Options{
		Loops: 1, IdleTimeout: 30 * time.Minute, LingerTimeout: 30 * time.Second, KeepAlive: 10 * time.Minute,
		StallTimeout: 10 * time.Minute, UserTimeout: time.Minute, Panicked: func(any, []byte) {}, Now: relay.Clock(),
	})
}

// direct is a backend.Upstream.
type direct struct{}

func (direct) Dial(ctx context.Context, _ netip.Addr, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

func (direct) Wait(ctx context.Context, f func(context.Context)) { f(ctx) }
