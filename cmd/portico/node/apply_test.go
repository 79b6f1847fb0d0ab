package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
