package backend

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/configs/store"
)

// dialing is an Upstream by its Dial. It lets nobody else compute while a sign-in waits.
type dialing func(ctx context.Context, source netip.Addr, address string) (net.Conn, error)

func (d dialing) Dial(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	return d(ctx, source, address)
}

func (dialing) Wait(ctx context.Context, f func(context.Context)) { f(ctx) }

// direct connects and does nothing else.
func direct(ctx context.Context, _ netip.Addr, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// waits is the waiting of a sign-in with a client, or nil.
func waits(client WaitingClient) waiting { return waiting{wait: dialing(direct).Wait, client: client} }

// told is a WaitingClient that never closes its side, by what StillWaits does.
type told func() error

func (t told) StillWaits() error     { return t() }
func (told) Closed() <-chan struct{} { return nil }

// newTestTier is New for options in which a test has what it is about. It puts the databases in force, unless the test
// has an ActiveManager of its own.
func newTestTier(ctx context.Context, o Options) (*Tier, error) {
	own := o.Active == nil
	o, err := complete(ctx, o)
	if err != nil {
		return nil, err
	}
	t, err := New(ctx, o)
	if err == nil && own {
		_, err = t.Configure(ctx)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// complete fills in what a test has left out.
func complete(ctx context.Context, o Options) (Options, error) {
	active, err := NewActiveManager(ctx, store.Memory(), nil, nil)
	if err != nil {
		return o, err
	}
	offered, err := NewOfferedMechanisms(ctx, store.Memory())
	if err != nil {
		return o, err
	}
	o.Servers = slices.Clone(o.Servers)
	for i, s := range o.Servers {
		o.Servers[i] = testkit.Complete(s, ServerOptions{
			TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}, Policy: Unrestricted,
		})
	}
	return testkit.Complete(o, Options{
		Mode: directory.ModePassthrough, Active: active, OfferedMechanisms: offered,
		SigninQueues:    NewSigninQueues(time.Now),
		CircuitBreakers: NewCircuitBreakers(time.Now, func() float64 { return 0 }),
		SigninOutcomes:  NewSigninOutcomes(time.Now), Upstream: dialing(direct), Now: time.Now,
		Timeouts: Timeouts{
			Dial: 5 * time.Second, TLS: 10 * time.Second, Greeting: 10 * time.Second, SignIn: 30 * time.Second,
		},
	}), nil
}

// A tier takes complete options alone, and says what is missing.
func TestIncompleteOptions(t *testing.T) {
	for field, change := range map[string]func(*Options){
		"Mode":                  func(o *Options) { o.Mode = directory.ModeDefault },
		"Active":                func(o *Options) { o.Active = nil },
		"OfferedMechanisms":     func(o *Options) { o.OfferedMechanisms = nil },
		"SigninQueues":          func(o *Options) { o.SigninQueues = nil },
		"CircuitBreakers":       func(o *Options) { o.CircuitBreakers = nil },
		"SigninOutcomes":        func(o *Options) { o.SigninOutcomes = nil },
		"Upstream":              func(o *Options) { o.Upstream = nil },
		"Timeouts.Dial":         func(o *Options) { o.Timeouts.Dial = 0 },
		"Timeouts.TLS":          func(o *Options) { o.Timeouts.TLS = 0 },
		"Timeouts.Greeting":     func(o *Options) { o.Timeouts.Greeting = 0 },
		"Timeouts.SignIn":       func(o *Options) { o.Timeouts.SignIn = -1 },
		"Now":                   func(o *Options) { o.Now = nil },
		`server "mbx1": Policy`: func(o *Options) { o.Servers[0].Policy = "" },
		"TLSConfig": func(o *Options) {
			o.Servers[0].TLS, o.Servers[0].TLSConfig = TLSImplicit, nil
		},
	} {
		o, err := complete(t.Context(), Options{
			Servers:   []ServerOptions{server(TLSNone, nil, "127.0.0.1:143")},
			Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		change(&o)
		if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), " "+field+" is missing") {
			t.Errorf("without %s: %v", field, err)
		}
	}
}
