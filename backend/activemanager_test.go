package backend

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
)

var twoCopies = []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1", "mbx2"}},
	{Name: "db2", Copies: []string{"mbx2", "mbx1"}}}

func manager(t *testing.T, s store.Store) *ActiveManager {
	t.Helper()
	m, err := NewActiveManager(t.Context(), s, nil, nil)
	if err == nil {
		_, err = m.Configure(t.Context(), twoCopies)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// nobody moves where there are no sessions to end.
var nobody = MoveOptions{End: func(string) {}}

// forced is nobody, whether the server answers or not.
var forced = MoveOptions{End: nobody.End, Force: true}

func at(wait func()) func(func()) {
	return func(f func()) { wait(); f() }
}

// What was moved and blocked is so after a restart and a reload.
func TestActiveCopiesLast(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	m := manager(t, s)
	if err := m.Move(t.Context(), "db1", "mbx2", nobody); err != nil {
		t.Fatal(err)
	}
	if err := m.Block(t.Context(), "mbx1", ByOperator); err != nil {
		t.Fatal(err)
	}
	for _, again := range []*ActiveManager{m, manager(t, s)} {
		if _, err := again.Configure(t.Context(), twoCopies); err != nil {
			t.Fatal(err)
		}
		if at, _ := again.Active("db1"); at != "mbx2" || !again.Blocked("mbx1") {
			t.Errorf("db1 is active on %s; mbx1 blocked: %v", at, again.Blocked("mbx1"))
		}
	}
	if active, err := ActiveCopies(t.Context(), s); err != nil || active["db1"] != "mbx2" {
		t.Errorf("the store says %v, %v", active, err)
	}
	if err := m.Unblock(t.Context(), "mbx1", ""); err != nil || m.Blocked("mbx1") || manager(t, s).Blocked("mbx1") {
		t.Errorf("still blocked: %v", err)
	}
	if at, _ := m.Active("db1"); at != "mbx2" {
		t.Errorf("lifting the block moved db1 to %s", at)
	}
}

func TestMoveRefused(t *testing.T) {
	m := manager(t, store.Memory())
	if err := m.Block(t.Context(), "mbx2", ByOperator); err != nil {
		t.Fatal(err)
	}
	ended := 0
	for _, test := range []struct {
		database, server string
		want             error
	}{
		{"db3", "mbx1", ErrUnknownName},
		{"db1", "mbx3", ErrNoCopy},
		{"db1", "mbx2", ErrBlocked},
		{"db1", "mbx1", nil}, // it is there
	} {
		if err := m.Move(t.Context(), test.database, test.server,
			MoveOptions{End: func(string) { ended++ }}); !errors.Is(err, test.want) {
			t.Errorf("%s to %s: %v, want %v", test.database, test.server, err, test.want)
		}
	}
	if at, _ := m.Active("db1"); at != "mbx1" || ended > 0 {
		t.Errorf("db1 is on %s, sessions ended %d times", at, ended)
	}
}

// leased leases a database for as long as a sign-in may be held. It waits by wait, if that is not nil.
func (m *ActiveManager) leased(ctx context.Context, name, user string, wait func(func())) ([]string, error) {
	by := waits(nil)
	if wait != nil {
		by.wait = func(ctx context.Context, f func(context.Context)) { wait(func() { f(ctx) }) }
	}
	return m.lease(ctx, name, user, holdTime, by)
}

// A move waits for the sign-ins under way, holds those that come, ends the sessions in between, and nobody gets to two
// copies.
func TestMoveHoldsSignIns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := manager(t, store.Memory())
		if servers, err := m.leased(t.Context(), "db1", "", at(func() { t.Error("waits") })); err != nil ||
			servers[0] != "mbx1" {
			t.Fatalf("%v, %v", servers, err)
		}
		var steps []string
		var moved sync.WaitGroup
		moved.Go(func() {
			err := m.Move(t.Context(), "db1", "mbx2",
				MoveOptions{End: func(name string) { steps = append(steps, "sessions of "+name+" ended") }})
			steps = append(steps, "moved")
			if err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		var after atomic.Int32
		for range 100 {
			moved.Go(func() {
				servers, err := m.leased(t.Context(), "db1", "", at(func() {}))
				if err != nil || servers[0] != "mbx2" {
					t.Errorf("%v, %v", servers, err)
				}
				after.Add(1)
			})
		}
		if servers, err := m.leased(t.Context(), "db2", "",
			at(func() { t.Error("another database waits") })); err != nil || servers[0] != "mbx2" {
			t.Errorf("db2: %v, %v", servers, err)
		}
		synctest.Wait()
		if len(steps) > 0 || after.Load() > 0 {
			t.Errorf("with a sign-in under way: %q, %d let in", steps, after.Load())
		}
		m.release("db1", "")
		moved.Wait()
		if !slices.Equal(steps, []string{"sessions of db1 ended", "moved"}) || after.Load() != 100 {
			t.Errorf("%q, %d let in", steps, after.Load())
		}
	})
}

// Who waits does so for a bounded time; a sign-in that never ends keeps the database from moving, and from nothing
// else.
func TestMoveThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := manager(t, store.Memory())
		m.leased(t.Context(), "db1", "", at(func() {}))
		var group sync.WaitGroup
		group.Go(func() {
			if err := m.Move(t.Context(), "db1", "mbx2", nobody); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("moved: %v", err)
			}
		})
		synctest.Wait()
		began := time.Now()
		if _, err := m.leased(t.Context(), "db1", "", at(func() {})); err == nil || time.Since(began) != holdTime {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		gone, cancel := context.WithCancelCause(t.Context())
		left := errors.New("left")
		cancel(left)
		if _, err := m.leased(gone, "db1", "", at(func() {})); !errors.Is(err, left) {
			t.Errorf("got %v", err)
		}
		group.Wait()
		if servers, err := m.leased(t.Context(), "db1", "", at(func() { t.Error("still held") })); err != nil ||
			servers[0] != "mbx1" {
			t.Errorf("%v, %v", servers, err)
		}
	})
}

// brokenStore takes no change once it is broken.
type brokenStore struct {
	store.Store
	broken bool
}

func (s *brokenStore) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	if s.broken {
		return 0, errors.New("disk full")
	}
	return s.Store.CompareAndSet(ctx, key, revision, value)
}

// punctualStore takes no change under a context that has ended, as a store behind a network does.
type punctualStore struct{ store.Store }

func (s punctualStore) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return s.Store.CompareAndSet(ctx, key, revision, value)
}

// Only the wait for sign-ins under way is bounded: a database whose many sessions take long to end moves all the same.
func TestMoveWithSlowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		m := manager(t, punctualStore{s})
		if err := m.Move(t.Context(), "db1", "mbx2",
			MoveOptions{End: func(string) { time.Sleep(2 * quietTime) }}); err != nil {
			t.Error(err)
		}
		if at, _ := m.Active("db1"); at != "mbx2" {
			t.Errorf("db1 is on %s", at)
		}
	})
}

// What cannot be stored has not happened.
func TestMoveThatCannotBeStored(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	broken := &brokenStore{Store: s}
	m := manager(t, broken)
	broken.broken = true
	if err := m.Move(t.Context(), "db1", "mbx2", nobody); err == nil {
		t.Error("moved")
	}
	if err := m.Block(t.Context(), "mbx1", ByOperator); err == nil || m.Blocked("mbx1") {
		t.Errorf("blocked: %v", err)
	}
	if servers, err := m.leased(t.Context(), "db1", "", at(func() { t.Error("held") })); err != nil ||
		servers[0] != "mbx1" {
		t.Errorf("%v, %v", servers, err)
	}
}

// Each who blocks a server lifts its own block alone; an operator's unblock lifts all.
func TestBlocksBelongToWhoeverAsks(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	// as older versions wrote it
	if _, err := s.CompareAndSet(t.Context(), blockedKey+"mbx1", 0, []byte("blocked")); err != nil {
		t.Fatal(err)
	}
	m := manager(t, s)
	for _, step := range []struct {
		change func() error
		want   string
	}{
		{func() error { return m.Block(t.Context(), "mbx1", "health") }, "operator health"},
		{func() error { return m.Block(t.Context(), "mbx1", "health") }, "operator health"},
		{func() error { return m.Unblock(t.Context(), "mbx1", "health") }, "operator"},
		{func() error { return m.Unblock(t.Context(), "mbx1", "health") }, "operator"},
		{func() error { return m.Block(t.Context(), "mbx1", "maintenance") }, "operator maintenance"},
		{func() error { return m.Unblock(t.Context(), "mbx1", "") }, ""},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		for _, now := range []*ActiveManager{m, manager(t, s)} {
			if got := strings.Join(now.BlockedBy("mbx1"), " "); got != step.want {
				t.Errorf("blocked by %q, want %q", got, step.want)
			}
		}
	}
}
