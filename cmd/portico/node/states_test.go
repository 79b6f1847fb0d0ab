package node

import (
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/configs/store"
	"portico/health"
	"portico/health/components"
	"portico/health/maintenance"
)

// What another writer stores takes effect at once, and so does its removal: overrides, repairing, maintenance,
// settings, components.
func TestOtherWritersTakeEffect(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	r := w.serve(t, w.config(t, healthTimings))
	r.settled(t)
	ctx := t.Context()
	is := func(monitor, value string) {
		t.Helper()
		r.eventually(t, monitor+" is "+value, func() bool { return r.monitors(t)[monitor].AlertValue == value })
	}
	off := health.Override{Identity: "IMAP/ImapCTPMonitor/db1", ItemType: health.ItemMonitor, Property: "Enabled",
		Value: "0"}
	overridden, err := r.stored.overrides.Put(ctx, store.Item[health.Override]{Name: off.Key(), Value: off})
	if err != nil {
		t.Fatal(err)
	}
	repaired, err := r.stored.repairing.Put(ctx, store.Item[bool]{Name: "IMAP.Protocol/ImapSelfTestMonitor/mbx2",
		Value: true})
	if err != nil {
		t.Fatal(err)
	}
	maintained, err := r.stored.maintenance.Put(ctx, store.Item[maintenance.Server]{Name: "mbx1",
		Value: maintenance.Server{Name: "mbx1", Since: time.Now()}})
	if err != nil {
		t.Fatal(err)
	}
	is(ctp1, "Disabled")
	is(self2, "Repairing")
	is(self1, "Disabled")
	if got := r.asks(t, cli.StatusFine, "override", "list"); !strings.Contains(got, "ImapCTPMonitor/db1") {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusFine, "maintenance", "status"); !strings.Contains(got, "mbx1") {
		t.Error(got)
	}
	setting := store.Item[map[string]string]{Value: map[string]string{"banner": "Hello"}}
	setting, err = r.stored.settings.Put(ctx, setting)
	if err != nil {
		t.Fatal(err)
	}
	banner := func(want string) func() bool { return func() bool { return r.now().config.Settings.Banner == want } }
	r.eventually(t, "the setting is in force", banner("Hello"))
	r.logged(t, "settings changed by another writer of the store")
	if got := r.asks(t, cli.StatusFine, "settings", "get", "banner"); !strings.Contains(got, "stored") {
		t.Error(got)
	}
	setting.Value = map[string]string{}
	if _, err := r.stored.settings.Put(ctx, setting); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "the file's value is in force", banner(r.now().file.Settings.Banner))
	request := components.Request{Component: components.ImapProxy, Requester: "Maintenance", State: components.Inactive}
	requested, err := r.stored.components.Put(ctx, store.Item[components.Request]{Name: request.Key(), Value: request})
	if err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "new clients are refused", func() bool { return r.inService() != nil })
	for _, err := range []error{r.stored.overrides.Remove(ctx, overridden), r.stored.repairing.Remove(ctx, repaired),
		r.stored.maintenance.Remove(ctx, maintained), r.stored.components.Remove(ctx, requested)} {
		if err != nil {
			t.Error(err)
		}
	}
	r.eventually(t, "new clients are taken", func() bool { return r.inService() == nil })
	r.settled(t)
}
