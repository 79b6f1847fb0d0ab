package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// withBanner prepares a change of the banner.
func withBanner(banner string) func(*inForce) (*inForce, error) {
	return func(current *inForce) (*inForce, error) {
		next, config := *current, *current.config
		config.Settings.Banner = banner
		next.config = &config
		return &next, nil
	}
}

// A change that is prepared while another one comes first is prepared again on top of it: neither is lost. If others
// always come first, nothing is changed.
func TestChangesDoNotUndoEachOther(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	r := site.serve(t, site.write(t, ""))
	tries := 0
	err := r.apply(t.Context(), func(current *inForce) (*inForce, error) {
		if tries++; tries == 1 {
			if err := r.apply(t.Context(), withBanner("first"), nil); err != nil {
				t.Error(err)
			}
		}
		next, err := withBanner(current.config.Settings.Banner + " and second")(current)
		if err == nil {
			next.front, err = newFront(t.Context(), next.config, r.mailbox)
		}
		return next, err
	}, nil)
	if got := r.clients.server.Settings().Banner; err != nil || tries != 2 || got != "first and second" ||
		r.current().config.Settings.Banner != got {
		t.Errorf("%v, after %d tries the banner is %q", err, tries, got)
	}
	err = r.apply(t.Context(), func(current *inForce) (*inForce, error) {
		if err := r.apply(t.Context(), withBanner("other"), nil); err != nil {
			t.Error(err)
		}
		return withBanner("never")(current)
	}, func() error { t.Error("it is stored"); return nil })
	if got := r.clients.server.Settings().Banner; err == nil || !strings.Contains(err.Error(), "nothing was changed") ||
		got != "other" {
		t.Errorf("%v; the banner is %q", err, got)
	}
}

// A change of settings leaves alone what only the file says: probes go on as they are, and the files that alerts need
// are not read again.
func TestSettingsLeaveTheFileAlone(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.put(t, "token", "a-token-for-the-alertmanager\n")
	file := site.write(t, "health: {escalate: {alertmanager: {url: \"http://127.0.0.1:1/\", token_file: token}}}\n")
	r := site.serve(t, file)
	if err := os.Remove(filepath.Join(site.dir, "token")); err != nil {
		t.Fatal(err)
	}
	r.settings(t, cli.StatusFine, "settings", "set", "banner=Changed.")
	r.banner(t, "Changed.")
	if log := r.log.String(); strings.Contains(log, "health.escalate.alertmanager") {
		t.Error(log)
	}
}

// A change of a setting that the way to the mailbox servers reads builds another way; other changes keep it.
func TestTierSettingsBuildAnotherTier(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	r := site.serve(t, site.write(t, ""))
	for _, c := range []struct {
		change  string
		another bool
	}{
		{"proxy_target_port=1143", true}, {"enforce_certificate_errors=false", true},
		{"banner=Changed.", false}, {"max_connections=7", false},
	} {
		before := r.current().front
		r.settings(t, cli.StatusFine, "settings", "set", c.change)
		if another := r.current().front != before; another != c.another {
			t.Errorf("%s: another tier is %v, want %v", c.change, another, c.another)
		}
	}
}

// A change that fails at its last steps leaves the store, the settings and the tier as they were: whether the databases
// cannot be put in force, or the change cannot be stored.
func TestFailedChangeLeavesNothing(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	file := site.write(t, "routing: hash\n")
	r := site.serve(t, file)
	before := r.current()
	change := func(ctx context.Context, disturb func(), keep func() error) error {
		return r.apply(ctx, func(now *inForce) (*inForce, error) {
			next, err := withBanner("never")(now)
			if err == nil {
				next.front, err = newFront(ctx, next.config, r.mailbox)
			}
			disturb()
			return next, err
		}, keep)
	}
	unchanged := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
		if now := r.current(); now != before || r.clients.server.Settings().Banner == "never" ||
			r.clients.server.Settings().Tier != before.tier() {
			t.Errorf("after %v, another configuration is in force", err)
		}
		r.banner(t, "Portico is ready.")
	}

	stored := false
	unchanged(change(t.Context(), func() {}, func() error { return errors.New("disk is full") }), "disk is full")
	unchanged(change(t.Context(), func() { // users are spread over other databases now
		if err := backend.PinDatabases(t.Context(), r.store.site, []string{"other"}); err != nil {
			t.Error(err)
		}
	}, func() error { stored = true; return nil }), "other")
	if stored {
		t.Error("the store has a change that is not in force")
	}
}
