package backend

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"portico/configs/store"
)

// configure puts one database in force, and returns where it is active.
func configure(t *testing.T, m *ActiveManager, copies ...string) (active string, adopted []Adopted, err error) {
	t.Helper()
	adopted, err = m.Configure(t.Context(), []DatabaseOptions{{Name: "db1", Copies: copies}})
	active, _ = m.Active("db1")
	return active, adopted, err
}

func newManager(t *testing.T, s store.Store) *ActiveManager {
	t.Helper()
	m, err := NewActiveManager(t.Context(), s, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The first copy is written down when a database is first seen, as at the first start of a version that does so; after
// that the order of copies means nothing, by reload and by restart, and neither does taking the database away for a
// while.
func TestOrderOfCopiesMovesNothing(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	m := newManager(t, s)
	if at, adopted, err := configure(t, m, "mbx1", "mbx2"); err != nil || at != "mbx1" || len(adopted) != 1 ||
		adopted[0] != (Adopted{Database: "db1", Server: "mbx1"}) {
		t.Fatalf("first seen: on %s, %v, %v", at, adopted, err)
	}
	for _, m := range []*ActiveManager{m, newManager(t, s)} {
		for _, copies := range [][]string{{"mbx2", "mbx1"}, {"mbx3", "mbx1"}, {"mbx1"}, {"mbx2", "mbx3", "mbx1"}} {
			if at, adopted, err := configure(t, m, copies...); err != nil || at != "mbx1" || len(adopted) > 0 {
				t.Errorf("%q: on %s, %v, %v", copies, at, adopted, err)
			}
		}
		if _, err := m.Configure(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if at, ok := m.Active("db1"); ok {
			t.Errorf("not configured, it is active on %s", at)
		}
		if at, _, err := configure(t, m, "mbx2", "mbx1"); err != nil || at != "mbx1" {
			t.Errorf("configured again: on %s, %v", at, err)
		}
	}
}

// A database under another name stays where it is active. It is recognised by its copies, unless two that go have the
// same.
func TestAnotherNameMovesNothing(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	m := newManager(t, s)
	apply := func(databases ...DatabaseOptions) []Adopted {
		adopted, err := m.Configure(t.Context(), databases)
		if err != nil {
			t.Fatal(err)
		}
		return adopted
	}
	apply(DatabaseOptions{Name: "d", Copies: []string{"mbx1", "mbx2"}},
		DatabaseOptions{Name: "e", Copies: []string{"mbx3"}})
	got := apply(DatabaseOptions{Name: "f", Copies: []string{"mbx2", "mbx1"}},
		DatabaseOptions{Name: "e", Copies: []string{"mbx3"}}, DatabaseOptions{Name: "g", Copies: []string{"mbx3"}})
	want := []Adopted{{Database: "f", Server: "mbx1", From: "d"}, {Database: "g", Server: "mbx3"}}
	if at, _ := m.Active("f"); at != "mbx1" || !slices.Equal(got, want) {
		t.Errorf("f is on %s: %+v", at, got)
	}
	apply(DatabaseOptions{Name: "x", Copies: []string{"mbx1", "mbx2"}},
		DatabaseOptions{Name: "y", Copies: []string{"mbx2", "mbx1"}})
	if got := apply(DatabaseOptions{Name: "z", Copies: []string{"mbx2", "mbx1"}}); len(got) != 1 ||
		got[0].From != "" || got[0].Server != "mbx2" {
		t.Errorf("one of several: %+v", got)
	}
}

// A reload that takes the active copy away changes nothing, in the store neither, and its error says what to do. A
// move that has failed counts too: any of its copies may be active.
func TestReloadKeepsActiveCopy(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	m := newManager(t, s)
	configure(t, m, "mbx1", "mbx2")
	for _, test := range []struct {
		copies []string
		words  string
	}{
		{[]string{"mbx2"},
			"database db1 is active on mbx1, which is no longer among its copies: run `portico database move db1 " +
				"mbx2` first"},
		{[]string{"mbx3", "mbx2"}, "move db1 mbx2` first"},
		{[]string{"mbx3"},
			"add the new copies beside mbx1, run `portico database move db1 SERVER`, and then remove mbx1"},
	} {
		_, err := m.Configure(t.Context(), []DatabaseOptions{{Name: "db1", Copies: test.copies},
			{Name: "db2", Copies: test.copies}})
		var taken *CopyTakenError
		if !errors.As(err, &taken) || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%q: %v", test.copies, err)
		}
		if at, _ := m.Active("db1"); at != "mbx1" {
			t.Errorf("%q: on %s", test.copies, at)
		}
	}
	if _, err := s.Get(t.Context(), activeKey+"db2"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was refused has left a record: %v", err)
	}
	if err := m.Move(t.Context(), "db1", "mbx2", nobody); err != nil {
		t.Fatal(err)
	}
	if at, _, err := configure(t, m, "mbx3", "mbx2"); err != nil || at != "mbx2" {
		t.Errorf("after the move: on %s, %v", at, err)
	}

	m = newManager(t, store.Memory())
	m.Configure(t.Context(),
		[]DatabaseOptions{{Name: "db1", Copies: []string{"mbx1", "mbx2"}, Hook: &storage{fails: "activate"}}})
	m.Move(t.Context(), "db1", "mbx2", nobody)
	for _, left := range []string{"mbx1", "mbx2"} {
		if _, _, err := configure(t, m, left); !errors.As(err, new(*CopyTakenError)) {
			t.Errorf("suspended between two copies, and %s alone is left: %v", left, err)
		}
	}
}

// What cannot be written leaves nothing behind.
func TestConfigureThatCannotBeStored(t *testing.T) {
	s := &failsOn{store.Memory(), activeKey + "db2"}
	defer s.Close()
	if _, err := newManager(t, s).Configure(t.Context(), twoCopies); err == nil {
		t.Error("configured")
	}
	if left, err := s.List(t.Context(), activeKey); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// failsOn takes no change of one key.
type failsOn struct {
	store.Store
	key string
}

func (s *failsOn) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	if key == s.key {
		return 0, errors.New("disk full")
	}
	return s.Store.CompareAndSet(ctx, key, revision, value)
}

// A start with a configuration that does not have the active copy keeps everybody out of that database alone, until it
// is moved or the copy is back.
func TestStartWithoutActiveCopy(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	configure(t, newManager(t, s), "mbx1", "mbx2")
	m := newManager(t, s)
	hook := &storage{}
	adopted, err := m.Configure(t.Context(), []DatabaseOptions{{Name: "db1", Copies: []string{"mbx2"}, Hook: hook},
		{Name: "db2", Copies: []string{"mbx2"}}})
	if err != nil || len(adopted) != 2 || adopted[0] != (Adopted{Database: "db1", Server: "mbx1", Lost: true}) {
		t.Fatalf("%v, %v", adopted, err)
	}
	if _, err := m.leased(t.Context(), "db1", "ann", nil); !errors.Is(err, ErrLost) {
		t.Errorf("a sign-in: %v", err)
	}
	if servers, err := m.leased(t.Context(), "db2", "ann", nil); err != nil || servers[0] != "mbx2" {
		t.Errorf("of another database: %q, %v", servers, err)
	}
	if copies := m.Copies(); len(copies) != 3 ||
		copies[1] != (CopyState{Database: "db1", Server: "mbx1", Active: true, Lost: true}) {
		t.Errorf("copies: %+v", copies)
	}
	// it has no active copy to take away
	if at, _, err := configure(t, m, "mbx2", "mbx3"); err != nil || at != "mbx1" {
		t.Errorf("another reload: on %s, %v", at, err)
	}
	if at, _, err := configure(t, m, "mbx2", "mbx1"); err != nil || at != "mbx1" {
		t.Errorf("the copy is back: on %s, %v", at, err)
	}
	if _, err := m.leased(t.Context(), "db1", "ann", nil); err != nil {
		t.Errorf("the copy is back: %v", err)
	}
	m = newManager(t, s)
	m.Configure(t.Context(), []DatabaseOptions{{Name: "db1", Copies: []string{"mbx2"}, Hook: hook}})
	if err := m.Move(t.Context(), "db1", "mbx2", nobody); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(hook.calls, ", "); got != "deactivate db1 mbx1 mbx2, activate db1 mbx1 mbx2" {
		t.Errorf("calls: %s", got)
	}
	if servers, err := m.leased(t.Context(), "db1", "ann", nil); err != nil || servers[0] != "mbx2" {
		t.Errorf("moved: %q, %v", servers, err)
	}
}

// slowHook takes until it is told to go on, or its context ends.
type slowHook struct{ goOn chan struct{} }

func (h slowHook) Deactivate(ctx context.Context, _, _, _ string) error {
	select {
	case <-h.goOn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (h slowHook) Activate(context.Context, string, string, string) error { return nil }

// Nothing but another move of the same database waits for a move: not a reload, a block, a policy, another database,
// nor a user. A reload may not take away what the database moves between. And the copy that a block forbids meanwhile
// is given up before the hooks begin.
func TestNothingWaitsForAMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, store.Memory())
		hook := slowHook{make(chan struct{})}
		databases := func(copies ...string) []DatabaseOptions {
			return []DatabaseOptions{{Name: "db1", Copies: copies, Hook: hook},
				{Name: "db2", Copies: []string{"mbx2", "mbx1"}}}
		}
		if _, err := m.Configure(t.Context(), databases("mbx1", "mbx2", "mbx3")); err != nil {
			t.Fatal(err)
		}
		first, second := make(chan error), make(chan error)
		go func() { first <- m.Move(t.Context(), "db1", "mbx2", nobody) }()
		synctest.Wait()
		go func() { second <- m.Move(t.Context(), "db1", "mbx3", nobody) }()
		synctest.Wait()
		for _, copies := range [][]string{{"mbx1"}, {"mbx2"}} {
			if _, err := m.Configure(t.Context(), databases(copies...)); err == nil ||
				!strings.Contains(err.Error(), "is moving from mbx1 to mbx2") {
				t.Errorf("copies %q while it moves: %v", copies, err)
			}
		}
		if _, err := m.Configure(t.Context(), databases("mbx3", "mbx2", "mbx1")); err != nil {
			t.Error(err)
		}
		for _, change := range []func() error{
			func() error { return m.Block(t.Context(), "mbx4", ByOperator) },
			func() error { return m.SetPolicy(t.Context(), "mbx4", BlockedByPolicy) },
			func() error { return m.Move(t.Context(), "db2", "mbx1", nobody) },
			func() error { return m.MoveUser(t.Context(), "ann", "db2", nobody.End) },
		} {
			if err := change(); err != nil {
				t.Error(err)
			}
		}
		select {
		case err := <-first:
			t.Errorf("the move is over: %v", err)
		default:
		}
		close(hook.goOn)
		if err := errors.Join(<-first, <-second); err != nil {
			t.Error(err)
		}
		if at, _ := m.Active("db1"); at != "mbx3" {
			t.Errorf("db1 is on %s", at)
		}
		err := m.Move(t.Context(), "db1", "mbx1",
			MoveOptions{End: func(string) { m.Block(t.Context(), "mbx1", ByOperator) }})
		if at, _ := m.Active("db1"); !errors.Is(err, ErrBlocked) || at != "mbx3" {
			t.Errorf("blocked meanwhile: on %s, %v", at, err)
		}
	})
}

// A move that is broken off before its hook begins has changed nothing; in the hook it leaves the database suspended;
// and once the hook is through it goes to its end.
func TestMoveBrokenOff(t *testing.T) {
	stop := errors.New("the service stops")
	for _, test := range []struct {
		name   string
		in     func(hook *brokenOff, cancel func()) MoveOptions
		want   error
		active string
	}{
		{"end", func(_ *brokenOff, cancel func()) MoveOptions { return MoveOptions{End: func(string) { cancel() }} },
			stop, "mbx1"},
		{"deactivate", func(h *brokenOff, cancel func()) MoveOptions { h.deactivating = cancel; return nobody },
			ErrSuspended, ""},
		{"activate", func(h *brokenOff, cancel func()) MoveOptions { h.activating = cancel; return nobody },
			nil, "mbx2"},
	} {
		s := store.Memory()
		hook := &brokenOff{}
		m := managerWith(t, punctualStore{s}, hook, "mbx1", "mbx2")
		ctx, cancel := context.WithCancelCause(t.Context())
		if err := m.Move(ctx, "db1", "mbx2", test.in(hook, func() { cancel(stop) })); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
		for _, m := range []*ActiveManager{m, managerWith(t, s, hook, "mbx1", "mbx2")} {
			servers, err := m.leased(t.Context(), "db1", "ann", nil)
			if test.active == "" && !errors.Is(err, ErrSuspended) ||
				test.active != "" && (err != nil || servers[0] != test.active) {
				t.Errorf("%s: %q, %v", test.name, servers, err)
			}
		}
	}
}

// brokenOff is a Hook that has the context of its move end.
type brokenOff struct{ deactivating, activating func() }

func (h *brokenOff) Deactivate(ctx context.Context, _, _, _ string) error {
	if h.deactivating != nil {
		h.deactivating()
	}
	return context.Cause(ctx)
}

func (h *brokenOff) Activate(context.Context, string, string, string) error {
	if h.activating != nil {
		h.activating()
	}
	return nil
}

// A database that is no longer configured has no copies to show.
func TestCopiesOfWhatIsNoLongerConfigured(t *testing.T) {
	m, err := NewActiveManager(t.Context(), store.Memory(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}}, {Name: "db2", Copies: []string{"mbx2"}}}
	for _, databases := range [][]DatabaseOptions{all, all[1:], all} {
		if _, err := m.Configure(t.Context(), databases); err != nil {
			t.Fatal(err)
		}
		copies := m.Copies()
		if len(copies) != len(databases) || copies[0].Database != databases[0].Name {
			t.Errorf("with %d databases the copies are %+v", len(databases), copies)
		}
	}
}

// Of a name that is not UTF-8, ASCII letters are folded and other bytes stay.
func TestNameThatIsNotUTF8(t *testing.T) {
	got, err := NameRules{}.Canonical("@AZaz[`{\xff\xc0@X", "")
	if want := "@azaz[`{\xff\xc0@x"; got != want || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
