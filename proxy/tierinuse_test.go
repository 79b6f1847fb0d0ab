package proxy

import (
	"context"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/proxy/setup"
)

// A tier is freed when the last sign-in that began with it ends, and not before; clients that have begun no sign-in do
// not count.
func TestTierIsFreed(t *testing.T) {
	testkit.NoLeaks(t)
	h := start(t, TLSNone, nil)
	entered, leave := make(chan struct{}), make(chan struct{})
	h.tier.hold = func(ctx context.Context, _ directory.Query) error {
		setup.Away(ctx, func(context.Context) {
			entered <- struct{}{}
			<-leave
		})
		return OutcomeNoMailbox
	}
	silent, one, other := h.client(), h.client(), h.client()
	one.send("a LOGIN bob secret\r\n")
	<-entered
	other.send("a LOGIN bob secret\r\n")
	<-entered

	freed := make(chan struct{})
	settings := h.opt.Settings
	settings.Tier = &fakeTier{}
	if err := h.server.Reload(settings, func() { close(freed) }); err != nil {
		t.Fatal(err)
	}
	leave <- struct{}{}
	one.expect("a NO ")
	select {
	case <-freed:
		t.Fatal("freed while a sign-in uses it")
	default:
	}
	if err := h.server.Reload(settings, func() { t.Error("the same tier was freed") }); err != nil {
		t.Fatal(err)
	}
	leave <- struct{}{}
	other.expect("a NO ")
	<-freed
	silent.send("a NOOP\r\n")
	silent.expect("a OK ")
}
