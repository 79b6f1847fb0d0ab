package backend

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/move"
	"portico/cluster"
	"portico/configs/store"
)

// member returns the members of a site, as one sees them that has registered.
func member(t *testing.T, s store.Store, name string) *move.Members {
	t.Helper()
	self, err := cluster.Join(t.Context(), s, cluster.Node{Name: name}, cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return move.NewMembers(s, self)
}

// joins returns a manager that is one of a site's members.
func joins(t *testing.T, s store.Store, name string) *follower {
	t.Helper()
	return followsAs(t, s, member(t, s, name), nil)
}

// A move waits until nobody is in at any member. Sign-ins that a member has held meanwhile go to the new copy, also
// those of a member that comes in between.
func TestMoveWaitsForAllMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		a, b := joins(t, s, "mx1"), joins(t, s, "mx2")
		if _, err := b.leased(t.Context(), "db1", "ann", nil); err != nil { // hangs
			t.Fatal(err)
		}
		moved := make(chan error, 1)
		go func() { moved <- a.Move(t.Context(), "db1", "mbx2", nobody) }()
		time.Sleep(time.Second)
		c := joins(t, s, "mx3")
		got := make(chan string, 2)
		for _, f := range []*follower{b, c} {
			go func() {
				servers, err := f.leased(t.Context(), "db1", "bert", nil)
				if err != nil {
					servers = []string{err.Error()}
				}
				got <- servers[0]
			}()
		}
		time.Sleep(10 * time.Second)
		if len(moved) > 0 || len(got) > 0 {
			t.Errorf("a sign-in hangs, and %d moves are over and %d sign-ins let in", len(moved), len(got))
		}
		if copies := b.Copies(); !copies[0].Moving || !copies[0].Active {
			t.Errorf("meanwhile the other member shows %+v", copies)
		}
		one := []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1", "mbx3"}}}
		const moving = "moving from mbx1 to mbx2"
		if _, err := b.Configure(t.Context(), one); err == nil || !strings.Contains(err.Error(), moving) {
			t.Errorf("a reload without the copy: %v", err)
		}
		b.release("db1", "ann")
		if err := <-moved; err != nil {
			t.Error(err)
		}
		for range 2 {
			if at := <-got; at != "mbx2" {
				t.Errorf("a held sign-in went to %s", at)
			}
		}
		b.compare(t, "sessions of db1 end", "db1 moved from mbx1 to mbx2 false")
		a.compare(t)
	})
}

// If a member does not acknowledge, the database stays open where it is, and no member tells of a move. With a member
// that is back, the database can move.
func TestMoveWithoutAMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		a, b := joins(t, s, "mx1"), joins(t, s, "mx2")
		member(t, s, "mx3") // it is dead
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := a.Move(ctx, "db1", "mbx2", nobody)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "mx3 may still have sessions") {
			t.Error(err)
		}
		synctest.Wait()
		for _, f := range []*follower{a, b} {
			if servers, err := f.leased(t.Context(), "db1", "ann", nil); err != nil || servers[0] != "mbx1" {
				t.Errorf("a sign-in: %q, %v", servers, err)
			}
			f.release("db1", "ann")
		}
		b.compare(t, "sessions of db1 end")
		joins(t, s, "mx3")
		if err := b.Move(t.Context(), "db1", "mbx2", nobody); err != nil {
			t.Error(err)
		}
		a.compare(t, "sessions of db1 end", "db1 moved from mbx1 to mbx2 false")
	})
}

// A member that comes while a database closes lets nobody in, from the first moment: nobody waits for its word.
func TestMemberThatComesDuringAMove(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	closing := move.Text(move.Record{Phase: move.Closing, At: "mbx1", To: "mbx2", By: "mx1"})
	if _, err := s.CompareAndSet(t.Context(), activeKey+"db1", 0, []byte(closing)); err != nil {
		t.Fatal(err)
	}
	m := managerOf(t, s, member(t, s, "mx2"), nil, "mbx1", "mbx2") // it does not follow yet
	servers, err := m.lease(t.Context(), "db1", "ann", time.Millisecond, waits(nil))
	if !errors.Is(err, errStillHeld) {
		t.Errorf("a sign-in: %q, %v", servers, err)
	}
}

// What an earlier version has stored of a move that has failed still suspends the database.
func TestEarlierVersionsSuspend(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"active/db1": "mbx1", "moving/db1": "mbx1 mbx2", "active/db2": "mbx2"} {
		if _, err := s.CompareAndSet(t.Context(), key, 0, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second start finds it as this version stores it
		s.Close()
		if s, err = store.Open(dir, time.Now()); err != nil {
			t.Fatal(err)
		}
		m := manager(t, s)
		var suspended []string
		for _, c := range m.Copies() {
			if c.Suspended {
				suspended = append(suspended, c.Database+" "+c.Server)
			}
		}
		if !slices.Equal(suspended, []string{"db1 mbx1", "db1 mbx2"}) {
			t.Errorf("suspended are %q", suspended)
		}
		if at, _ := m.Active("db2"); at != "mbx2" {
			t.Errorf("db2 is on %s", at)
		}
		if old, err := s.List(t.Context(), movingKey); err != nil || len(old) > 0 {
			t.Errorf("there is still %v, %v", old, err)
		}
	}
	m := manager(t, s)
	if err := m.Move(t.Context(), "db1", "mbx2", nobody); err != nil {
		t.Error(err)
	}
	if e, err := s.Get(t.Context(), "active/db1"); err != nil || string(e.Value) != "mbx2" {
		t.Errorf("stored is %s, %v, which earlier versions cannot read", e.Value, err)
	}
	s.Close()
}
