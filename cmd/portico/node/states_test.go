package node

import (
	"strings"
	"testing"
	"time"

	"portico/backend"
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
	overridden, err := r.store.overrides.Put(ctx, store.Item[health.Override]{Name: off.Key(), Value: off})
	if err != nil {
		t.Fatal(err)
	}
	repaired, err := r.store.repairing.Put(ctx, store.Item[bool]{Name: "IMAP.Protocol/ImapSelfTestMonitor/mbx2",
		Value: true})
	if err != nil {
		t.Fatal(err)
	}
	maintained, err := r.store.maintenance.Put(ctx, store.Item[maintenance.Server]{Name: "mbx1",
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
	setting, err = r.store.settings.Put(ctx, setting)
	if err != nil {
		t.Fatal(err)
	}
	banner := func(want string) func() bool {
		return func() bool { return r.current().config.Settings.Banner == want }
	}
	r.eventually(t, "the setting is in force", banner("Hello"))
	r.logged(t, "settings changed by another writer of the store")
	if got := r.asks(t, cli.StatusFine, "settings", "get", "banner"); !strings.Contains(got, "stored") {
		t.Error(got)
	}
	setting.Value = map[string]string{}
	if _, err := r.store.settings.Put(ctx, setting); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "the file's value is in force", banner(r.current().fromFile.Settings.Banner))
	request := components.Request{Component: components.ImapProxy, Requester: "Maintenance", State: components.Inactive}
	requested, err := r.store.components.Put(ctx, store.Item[components.Request]{Name: request.Key(), Value: request})
	if err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "new clients are refused", func() bool { return r.components.inService() != nil })
	for _, err := range []error{r.store.overrides.Remove(ctx, overridden), r.store.repairing.Remove(ctx, repaired),
		r.store.maintenance.Remove(ctx, maintained), r.store.components.Remove(ctx, requested)} {
		if err != nil {
			t.Error(err)
		}
	}
	r.eventually(t, "new clients are taken", func() bool { return r.components.inService() == nil })
	r.settled(t)
}

// Databases and users that another writer moves are served from there at once: their sessions here end and say why,
// and new sign-ins go to the new server. Blocks of another writer count.
func TestOtherWritersMove(t *testing.T) {
	testkit.NoLeaks(t)
	site := newTwoServers(t)
	site.replace(t, "{db1: {copies: [mbx1, mbx2]}}",
		"{db1: {copies: [mbx1, mbx2]}, db2: {copies: [mbx1, mbx2]}}\ndirectory: {sources: [{rules: [{match: \"*\", "+
			"database: db1}]}]}")
	r := site.site.serve(t, site.dir+"/portico.yaml")
	other, err := backend.NewActiveManager(t.Context(), r.store.site, nil, func(err error) { t.Error(err) })
	if err == nil {
		_, err = other.Configure(t.Context(), []backend.DatabaseOptions{{Name: "db1", Copies: []string{"mbx1", "mbx2"}},
			{Name: "db2", Copies: []string{"mbx1", "mbx2"}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(string) {}
	c := r.signIn(t)
	if err := other.Move(t.Context(), "db1", "mbx2", backend.MoveOptions{End: nothing}); err != nil {
		t.Fatal(err)
	}
	const moved = "* BYE [UNAVAILABLE] Your mailbox is being moved*"
	c.Expect(moved)
	r.logged(t, "database moved by another writer of the store")
	if got := r.asks(t, cli.StatusFine, "user", "where", "alice"); !strings.Contains(got, "mbx2") {
		t.Error(got)
	}
	c = r.signIn(t)
	if site.book.count("mbx1") > 0 || site.book.count("mbx2") != 1 {
		t.Error("the sign-in went to the old server")
	}
	if err := other.MoveUser(t.Context(), "alice", "db2", nothing); err != nil {
		t.Fatal(err)
	}
	c.Expect(moved)
	r.logged(t, "user moved by another writer of the store")
	if got := r.asks(t, cli.StatusFine, "user", "where", "alice"); !strings.Contains(got, "db2") {
		t.Error(got)
	}
	if err := other.Block(t.Context(), "mbx1", "maintenance"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the block counts", func() bool { return r.mailbox.active.Blocked("mbx1") })
	if got := r.asks(t, cli.StatusFailed, "database", "move", "db1", "mbx1"); !strings.Contains(got, "blocked") {
		t.Error(got)
	}
	if len(site.book.twice) > 0 {
		t.Errorf("on two servers: %q", site.book.twice)
	}
}
