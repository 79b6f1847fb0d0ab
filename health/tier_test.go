package health

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/configs/store"
)

// direct is a backend.Upstream that connects and does nothing else.
type direct struct{}

func (direct) Dial(ctx context.Context, _ netip.Addr, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

func (direct) Wait(ctx context.Context, f func(context.Context)) { f(ctx) }

// newTier returns a tier of options in which a test has what it is about.
func newTier(t *testing.T, o backend.Options) *backend.Tier {
	t.Helper()
	active, err := backend.NewActiveManager(t.Context(), store.Memory())
	if err != nil {
		t.Fatal(err)
	}
	survey, err := backend.NewSurvey(t.Context(), store.Memory())
	if err != nil {
		t.Fatal(err)
	}
	o.Servers = slices.Clone(o.Servers)
	for i := range o.Servers {
		o.Servers[i].Policy = backend.Unrestricted
	}
	tier, err := backend.New(t.Context(), testkit.Complete(o, backend.Options{
		Mode: directory.ModePassthrough, Active: active, Survey: survey, Gates: backend.NewGates(time.Now),
		Breakers: backend.NewBreakers(time.Now, func() float64 { return 0 }), Tally: backend.NewTally(time.Now),
		Upstream: direct{}, Now: time.Now,
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
