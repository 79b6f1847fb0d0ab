package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"portico/configs/store"
)

// hashed returns options that spread users over databases of these names.
func hashed(s store.Store, names ...string) Options {
	o := Options{Servers: []ServerOptions{server(TLSNone, nil, "127.0.0.1:143")}, Routing: RoutingHash, Store: s}
	for _, name := range names {
		o.Databases = append(o.Databases, DatabaseOptions{Name: name, Copies: []string{"mbx1"}})
	}
	return o
}

// TestPinnedDatabases walks through the life of a pinned set: first start, restart, another configuration, the
// command.
func TestPinnedDatabases(t *testing.T) {
	s, ctx := store.Memory(), t.Context()
	start := func(names ...string) error { _, err := newTestTier(ctx, hashed(s, names...)); return err }
	pinned := func(want ...string) {
		t.Helper()
		if got, err := PinnedDatabases(ctx, s); err != nil || !slices.Equal(got, want) {
			t.Fatalf("pinned %q, %v; want %q", got, err, want)
		}
	}

	pinned()
	if err := start("db2", "db1"); err != nil {
		t.Fatal(err)
	}
	pinned("db1", "db2")
	if err := start("db1", "db2"); err != nil {
		t.Errorf("in another order: %v", err)
	}
	for _, names := range [][]string{{"db1"}, {"db1", "db2", "db3"}, {"db1", "db3"}} {
		err := start(names...)
		e, ok := errors.AsType[*PinMismatchError](err)
		if !ok || !slices.Equal(e.Pinned, []string{"db1", "db2"}) || !slices.Equal(e.Configured, names) {
			t.Errorf("start with %q: %v", names, err)
			continue
		}
		for _, part := range []string{fmt.Sprintf("%q", e.Pinned), fmt.Sprintf("%q", names), "portico database pin"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not name %s", err, part)
			}
		}
	}
	pinned("db1", "db2")
	if err := PinDatabases(ctx, s, []string{"db3", "db1", "db3"}); err != nil {
		t.Fatal(err)
	}
	pinned("db1", "db3")
	if err := start("db1", "db3"); err != nil {
		t.Error(err)
	}
	if err := PinDatabases(ctx, s, nil); err == nil {
		t.Error("no databases can be pinned")
	}
}

// racing is a store on which another node pins its set first.
type racing struct {
	store.Store
	names []string
}

func (r *racing) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	if names := r.names; names != nil {
		r.names = nil
		if err := PinDatabases(ctx, r.Store, names); err != nil {
			return 0, err
		}
	}
	return r.Store.CompareAndSet(ctx, key, revision, value)
}

func TestPinRace(t *testing.T) {
	_, err := newTestTier(t.Context(), hashed(&racing{store.Memory(), []string{"db1", "db2"}}, "db1", "db2"))
	if err != nil {
		t.Errorf("the other node pinned the same: %v", err)
	}
	_, err = newTestTier(t.Context(), hashed(&racing{store.Memory(), []string{"db1"}}, "db1", "db2"))
	if _, ok := errors.AsType[*PinMismatchError](err); !ok {
		t.Errorf("the other node pinned another set: %v", err)
	}
}

// A set that a configuration pins is pinned no more if the databases do not come into force. One that was pinned
// before stays.
func TestPinOfAConfigurationThatFails(t *testing.T) {
	s, active := store.Memory(), store.Memory()
	for _, before := range []bool{false, true} {
		if before {
			if err := PinDatabases(t.Context(), s, []string{"db1", "db2"}); err != nil {
				t.Fatal(err)
			}
		}
		manager, err := NewActiveManager(t.Context(), active, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		o := hashed(s, "db1", "db2")
		o.Active = manager
		tier, err := newTestTier(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		active.Close()
		if _, err := tier.Configure(t.Context()); !errors.Is(err, store.ErrClosed) ||
			errors.Is(err, store.ErrConflict) {
			t.Errorf("pinned before %v: %v", before, err)
		}
		if names, err := PinnedDatabases(t.Context(), s); err != nil || (len(names) > 0) != before {
			t.Errorf("pinned before %v: now %q, %v", before, names, err)
		}
		active = store.Memory()
	}
}

// A store that cannot be read is never taken for an empty one. Nor is an entry that may say that users must stay away.
func TestWhatTheStoreDoesNotTell(t *testing.T) {
	damaged := store.Memory()
	for _, key := range []string{failedKey + "db1/mbx1", policyKey + "mbx1", mechanismsKey + "mbx1"} {
		if _, err := damaged.CompareAndSet(t.Context(), key, 0, []byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	var told []error
	m, err := NewActiveManager(t.Context(), damaged, nil, func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	if f, failed := m.Failed("db1", "mbx1"); !failed || !strings.Contains(f.Reason, "cannot be read") {
		t.Errorf("a copy whose entry is damaged is Failed: %v, %+v", failed, f)
	}
	if m.Policy("mbx1") != "" || len(told) != 1 || !strings.Contains(told[0].Error(), policyKey+"mbx1: ") {
		t.Errorf("the policy is %q; told was %v", m.Policy("mbx1"), told)
	}
	if offered, err := NewOfferedMechanisms(t.Context(), damaged); err != nil || len(offered.found) > 0 {
		t.Errorf("what servers offer: %v, %v", offered.found, err)
	}
	for _, change := range []func() error{
		func() error { return m.SetPolicy(t.Context(), "mbx1", BlockedByPolicy) },
		func() error { _, err := m.Configure(t.Context(), twoCopies); return err },
		func() error { _, err := m.ClearFailed(t.Context(), "db1", "mbx1"); return err },
	} {
		if err := change(); err != nil {
			t.Error(err)
		}
	}
	if _, failed := m.Failed("db1", "mbx1"); failed || m.Policy("mbx1") != BlockedByPolicy {
		t.Error("what was damaged cannot be changed")
	}
	closed := store.Memory()
	closed.Close()
	if _, err := NewActiveManager(t.Context(), closed, nil, nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("active copies: %v", err)
	}
	if _, err := NewOfferedMechanisms(t.Context(), closed); !errors.Is(err, store.ErrClosed) {
		t.Errorf("what servers offer: %v", err)
	}
}

func TestPinUnreadable(t *testing.T) {
	s := store.Memory()
	if _, err := s.CompareAndSet(t.Context(), pinKey, 0, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := newTestTier(t.Context(), hashed(s, "db1")); err == nil {
		t.Error("an unreadable pin is taken for none")
	}
	s.Close()
	if _, err := newTestTier(t.Context(), hashed(s, "db1")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
