package maintenance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"portico/backend"
	"portico/configs/store"
	"portico/health"
	"portico/health/catalogue"
)

// site is two servers in maintenance or not, on one store.
type site struct {
	*Set
	active  *backend.ActiveManager
	changes int
	moved   []string // servers that were evacuated
	fails   error    // why none can be
}

func newSite(t *testing.T, kept store.Store) *site {
	t.Helper()
	w := &site{}
	var err error
	if w.active, err = backend.NewActiveManager(t.Context(), kept, nil, nil); err != nil {
		t.Fatal(err)
	}
	w.Set, err = Open(t.Context(), Options{
		Stored: store.SetOf[Server](kept, "maintenance/"), Active: w.active, Changed: func() { w.changes++ },
		Policy: func(server string) backend.Policy {
			if p := w.active.Policy(server); p != "" {
				return p
			}
			return backend.Unrestricted
		},
		Evacuate: func(_ context.Context, server string) ([]backend.MoveResult, error) {
			w.moved = append(w.moved, server)
			return []backend.MoveResult{{Database: "db1", From: server, To: "mbx2"},
				{Database: "db2", From: server, Err: backend.ErrNoHealthyCopy}}, w.fails
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func text(steps []Step) string {
	var all []string
	for _, s := range steps {
		all = append(all, fmt.Sprintf("%s: %s, %s, %v", s.What, s.Was, s.Result, s.Done))
	}
	return strings.Join(all, "\n")
}

// The way in and out, in Exchange's order. The policy that the server had by command is there again.
func TestInAndOut(t *testing.T) {
	kept := store.Memory()
	defer kept.Close()
	w := newSite(t, kept)
	ctx := t.Context()
	if err := w.active.SetPolicy(ctx, "mbx1", backend.Unrestricted); err != nil {
		t.Fatal(err)
	}
	steps, err := w.Start(ctx, "mbx1", "ann")
	if got := text(steps); err != nil || got != `activation on mbx1: allowed, blocked, true
database db1: mbx1, moved to mbx2, true
database db2: mbx1, kept: no healthy copy, false
AutoActivationPolicy of mbx1: Unrestricted, Blocked, true
monitors of mbx1: enabled, Disabled, true` {
		t.Errorf("%v\n%s", err, got)
	}
	if by := w.active.Blockers("mbx1"); len(by) != 1 || by[0] != (backend.Blocker{By: By, Who: "ann"}) {
		t.Errorf("blocked by %v", by)
	}
	if steps, err := w.Start(ctx, "mbx1", "bob"); err != nil || !strings.HasSuffix(text(steps),
		"monitors of mbx1: Disabled, Disabled, true") || w.Servers()["mbx1"].Policy != backend.Unrestricted {
		t.Errorf("again: %v\n%s\n%v", err, text(steps), w.Servers())
	}
	if err := w.active.Block(ctx, "mbx1", backend.ByOperator); err != nil {
		t.Fatal(err)
	}
	steps, err = w.Stop(ctx, "mbx1")
	if got := text(steps); err != nil || got != `AutoActivationPolicy of mbx1: Blocked, Unrestricted, true
activation on mbx1: blocked, still blocked, by operator, false
monitors of mbx1: Disabled, enabled, true` {
		t.Errorf("%v\n%s", err, got)
	}
	if _, err := w.Stop(ctx, "mbx1"); !errors.Is(err, health.ErrUnknown) {
		t.Errorf("out of what it is not in: %v", err)
	}
	if w.active.Policy("mbx1") != backend.Unrestricted || len(w.Servers()) != 0 || w.changes != 2 {
		t.Errorf("policy %s, in maintenance %v, %d changes", w.active.Policy("mbx1"), w.Servers(), w.changes)
	}
}

// If databases cannot be moved, the server stays in maintenance and the next call goes on.
func TestGoesOn(t *testing.T) {
	kept := store.Memory()
	defer kept.Close()
	w := newSite(t, kept)
	w.fails = errors.New("the service stops")
	if steps, err := w.Start(t.Context(), "mbx1", ""); !errors.Is(err, w.fails) || len(steps) != 1 {
		t.Errorf("%v\n%s", err, text(steps))
	}
	again := newSite(t, kept)
	if steps, err := again.Start(t.Context(), "mbx1", ""); err != nil || len(steps) != 5 {
		t.Errorf("%v\n%s", err, text(steps))
	}
}

// A stored entry that cannot be read counts as none: the server can be taken into maintenance, and out again.
func TestUnreadable(t *testing.T) {
	kept := store.Memory()
	defer kept.Close()
	if _, err := kept.CompareAndSet(t.Context(), "maintenance/mbx1", 0, []byte("{")); err != nil {
		t.Fatal(err)
	}
	w := newSite(t, kept)
	if err := w.active.SetPolicy(t.Context(), "mbx1", backend.BlockedByPolicy); err != nil { // by that maintenance
		t.Fatal(err)
	}
	if _, err := w.Stop(t.Context(), "mbx1"); !errors.Is(err, health.ErrUnknown) || len(w.Servers()) != 0 {
		t.Errorf("out of what cannot be read: %v", err)
	}
	if _, err := w.Start(t.Context(), "mbx1", ""); err != nil || len(w.Servers()) != 1 {
		t.Errorf("in: %v, in maintenance %v", err, w.Servers())
	}
	if _, err := w.Stop(t.Context(), "mbx1"); err != nil || len(w.Servers()) != 0 || w.active.Policy("mbx1") != "" {
		t.Errorf("out: %v, in maintenance %v, policy %q", err, w.Servers(), w.active.Policy("mbx1"))
	}
}

// A server that another writer takes into maintenance or out of it has its monitors switched off or on. Monitors of
// databases and of the node stay.
func TestFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		defer kept.Close()
		w, other := newSite(t, kept), newSite(t, kept)
		go w.Run(t.Context())
		want := func(changes int, off ...string) {
			t.Helper()
			synctest.Wait()
			var plan health.Plan
			for _, e := range catalogue.All() {
				if e.Monitor == "" {
					continue
				}
				for _, target := range []string{"", "mbx1", "mbx2"} {
					plan.Monitors = append(plan.Monitors, health.Monitor{Name: e.Monitor, Target: target})
				}
			}
			w.SwitchOff(plan)
			for _, m := range plan.Monitors {
				want := slices.Contains(off, m.Target) && catalogue.Of(m.Name).Scope == catalogue.ScopeServer
				if m.Off != want {
					t.Errorf("%s of %q is off: %v", m.Name, m.Target, m.Off)
				}
			}
			if w.changes != changes {
				t.Errorf("%d changes, want %d", w.changes, changes)
			}
		}
		want(0)
		if _, err := other.Start(t.Context(), "mbx1", ""); err != nil {
			t.Fatal(err)
		}
		want(1, "mbx1")
		if _, err := other.Stop(t.Context(), "mbx1"); err != nil {
			t.Fatal(err)
		}
		want(2)
	})
}
