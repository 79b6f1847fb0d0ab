package backend

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
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

// watching is member for one that follows who else there is.
func watching(t *testing.T, s store.Store, name string) *move.Members {
	t.Helper()
	self, err := cluster.Join(t.Context(), s, cluster.Node{Name: name}, cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { self.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
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

// endingHook ends as it is told, and when.
type endingHook chan error

func (h endingHook) Deactivate(context.Context, string, string, string) error { return nil }
func (h endingHook) Activate(context.Context, string, string, string) error   { return <-h }

// While the hook of a member is at work, the others hold sign-ins, and another move waits. When it has failed, or its
// member is gone, they refuse them.
func TestHookOfAnotherMember(t *testing.T) {
	for end, test := range map[string]struct {
		hook error
		want string // where a sign-in goes
		told string
	}{
		"it succeeds":        {nil, "mbx2", "db1 moved from mbx1 to mbx2 false"},
		"it fails":           {errors.New("busy"), "", "db1 moved from mbx1 to mbx1 true"},
		"its member is gone": {nil, "", "db1 moved from mbx1 to mbx1 true"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := store.Memory()
			defer s.Close()
			hook := make(endingHook)
			a, b := followsAs(t, s, member(t, s, "mx1"), hook), followsAs(t, s, watching(t, s, "mx2"), nil)
			ctx, kill := context.WithCancel(t.Context())
			defer kill()
			moved := make(chan error, 1)
			go func() { moved <- a.Move(ctx, "db1", "mbx2", nobody) }()
			synctest.Wait()
			got := make(chan string, 2)
			for _, f := range []*follower{b, followsAs(t, s, watching(t, s, "mx3"), nil)} {
				go func() {
					servers, err := f.leased(t.Context(), "db1", "ann", nil)
					if err == nil {
						f.release("db1", "ann")
					} else if servers = []string{""}; !errors.Is(err, ErrSuspended) {
						t.Errorf("%s: %v", end, err)
					}
					got <- servers[0]
				}()
			}
			soon, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := b.Move(soon, "db1", "mbx3", nobody)
			if !errors.Is(err, context.DeadlineExceeded) || len(got) > 0 || !b.Copies()[0].Moving {
				t.Errorf("%s: before that, %d sign-ins are over, and another move says %v", end, len(got), err)
			}
			if strings.HasSuffix(end, "gone") {
				all, err := cluster.Registered(t.Context(), s)
				if err == nil {
					err = cluster.Remove(t.Context(), s, all[0].Value, true)
				}
				if err != nil {
					t.Fatal(err)
				}
			} else {
				hook <- test.hook
				<-moved
			}
			for range 2 {
				if at := <-got; at != test.want {
					t.Errorf("%s: a sign-in went to %q", end, at)
				}
			}
			b.compare(t, "sessions of db1 end", test.told)
			close(hook)
		})
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
