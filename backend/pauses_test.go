package backend

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
)

// pausing starts a node that follows pauses. ahead is by how much its clock is wrong.
func pausing(t *testing.T, s store.Store, ahead time.Duration) (*Pauses, *SigninQueues) {
	t.Helper()
	queues := NewSigninQueues(func() time.Time { return time.Now().Add(ahead) })
	pauses := NewPauses(s, queues, func(err error) { t.Error(err) })
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go pauses.Run(ctx)
	synctest.Wait()
	return pauses, queues
}

// contended is a store in which other nodes change each entry first.
type contended struct {
	store.Store
	changed bool
}

func (s *contended) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	s.changed = !s.changed
	if s.changed {
		return 0, store.ErrConflict
	}
	return s.Store.CompareAndSet(ctx, key, revision, value)
}

// A pause at one node is a pause at all, with the same end though their clocks differ, and for those that start later.
// It leaves nothing behind that a node could follow after its end.
func TestPausesOverNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		asked, a := pausing(t, s, 0)
		other, b := pausing(t, s, time.Hour)
		paused := func(want time.Duration, all ...*SigninQueues) {
			t.Helper()
			synctest.Wait()
			for i, queues := range all {
				if got := queues.State("mbx1").Paused; got != want {
					t.Errorf("node %d is paused for %v, want %v", i, got, want)
				}
			}
		}
		if asked.Pause(t.Context(), "mbx1", MaxPause+1) == nil {
			t.Error("a pause without end")
		}
		paused(0, a, b)
		if err := asked.Pause(t.Context(), "mbx1", 5*time.Minute); err != nil {
			t.Fatal(err)
		}
		if a.State("mbx1").Paused != 5*time.Minute {
			t.Error("the node that was asked does not hold sign-ins at once")
		}
		paused(5*time.Minute, a, b)
		time.Sleep(time.Minute)
		_, later := pausing(t, s, 0)
		paused(4*time.Minute, a, b, later)
		if err := other.Resume(t.Context(), "mbx1"); err != nil {
			t.Fatal(err)
		}
		paused(0, a, b, later)
		busy, _ := pausing(t, &contended{Store: s}, 0)
		if err := busy.Pause(t.Context(), "mbx1", time.Minute); err != nil {
			t.Error(err)
		}
		paused(time.Minute, a, b, later)
		time.Sleep(2 * time.Minute)
		_, last := pausing(t, s, 0)
		_, behind := pausing(t, s, -time.Hour)
		paused(0, a, b, later, last, behind)
	})
}

// If the other nodes cannot be told, nobody is paused.
func TestPauseWithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		asked, a := pausing(t, s, 0)
		s.Close()
		if asked.Pause(t.Context(), "mbx1", time.Minute) == nil || a.State("mbx1").Paused != 0 {
			t.Error("a pause that nobody else knows")
		}
	})
}

// Nodes share the pace, and each admits one sign-in a second at least.
func TestPaceOverNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for nodes, want := range map[int]time.Duration{0: 100 * time.Millisecond, 1: 100 * time.Millisecond,
			3: 300 * time.Millisecond, 200: time.Second} {
			g := newSigninQueues()
			g.Configure(PaceOptions{PerSecond: 10, For: time.Minute})
			g.Share(nodes)
			g.Pause("mbx1", time.Second)
			g.enter(t.Context(), "mbx1")
			began := time.Now()
			g.enter(t.Context(), "mbx1")
			if took := time.Since(began); took != want {
				t.Errorf("%d nodes: %v between two sign-ins, want %v", nodes, took, want)
			}
		}
	})
}
