package backend

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func newSigninQueues() *SigninQueues { return NewSigninQueues(time.Now) }

// enter is what Route does.
func (g *SigninQueues) enter(ctx context.Context, server string) error {
	if g.pass(server) {
		return nil
	}
	in, err := g.wait(ctx, server, waits(nil))
	if err == nil && !in {
		return errors.New("sent away")
	}
	return err
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSigninQueues()
		for _, d := range []time.Duration{0, -1, MaxPause + 1} {
			if g.Pause("mbx1", d) == nil {
				t.Errorf("a pause of %v is taken", d)
			}
		}
		if err := g.Pause("mbx1", time.Minute); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := g.enter(t.Context(), "mbx2"); err != nil || time.Since(began) > 0 {
			t.Errorf("another server: %v after %v", err, time.Since(began))
		}
		count := 0
		toldBy := told(func() error { count++; return nil })
		in, err := g.wait(t.Context(), "mbx1", waits(toldBy))
		if took := time.Since(began); err != nil || !in || took != time.Minute || count != 3 && count != 4 {
			t.Errorf("%v after %v, told %d times", err, took, count)
		}
		if err := g.enter(t.Context(), "mbx1"); err != nil || time.Since(began) > time.Minute {
			t.Errorf("after the pause: %v", err)
		}
	})
}

// Those who came first go first, at the set pace; after a resume at once.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSigninQueues()
		g.Configure(PaceOptions{PerSecond: 10, For: 30 * time.Second})
		g.Pause("mbx1", 5*time.Minute)
		var mu sync.Mutex
		var order []int
		var at []time.Duration
		var group sync.WaitGroup
		var resumed time.Time
		for i := range 50 {
			group.Go(func() {
				if err := g.enter(t.Context(), "mbx1"); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order, at = append(order, i), append(at, time.Since(resumed))
			})
			synctest.Wait()
		}
		if s := g.State("mbx1"); s.Waiting != 50 || s.Paused != 5*time.Minute {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		resumed = time.Now()
		g.Resume("mbx1")
		group.Wait()
		if !slices.IsSorted(order) {
			t.Errorf("the order is %v", order)
		}
		if at[0] != 0 || at[49] != 4900*time.Millisecond {
			t.Errorf("the first after %v, the last after %v", at[0], at[49])
		}
		began := time.Now() // whoever comes now goes at the pace too
		g.enter(t.Context(), "mbx1")
		g.enter(t.Context(), "mbx1")
		if took := time.Since(began); took != 200*time.Millisecond {
			t.Errorf("two more took %v", took)
		}
		time.Sleep(30 * time.Second)
		began = time.Now()
		for range 100 {
			g.enter(t.Context(), "mbx1")
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("long after it: %v", took)
		}
		if len(g.byServer) != 0 {
			t.Error("a queue that holds nothing is kept")
		}
	})
}

// The slowest pace holds too: one sign-in a second.
func TestPaceOfOneASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSigninQueues()
		g.Configure(PaceOptions{PerSecond: 1, For: time.Minute})
		g.slow("mbx1")
		began := time.Now()
		for range 4 {
			if err := g.enter(t.Context(), "mbx1"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("four sign-ins took %v, want 3s", took)
		}
		g.Configure(PaceOptions{For: time.Minute}) // no pace
		g.slow("mbx2")
		began = time.Now()
		for range 4 {
			if err := g.enter(t.Context(), "mbx2"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("without a pace, four sign-ins took %v", took)
		}
	})
}

// Who gives up leaves no gap, wherever it stood; and whoever is told that it must wait may break off.
func TestSigninQueueGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSigninQueues()
		g.Pause("mbx1", time.Minute)
		gone := errors.New("client gone")
		var group sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for i, want := range []error{context.Canceled, nil, gone, nil} {
			group.Go(func() {
				var err error
				switch i {
				case 0:
					err = g.enter(ctx, "mbx1")
				case 2:
					_, err = g.wait(t.Context(), "mbx1", waits(told(func() error { return gone })))
				default:
					err = g.enter(t.Context(), "mbx1")
				}
				if !errors.Is(err, want) {
					t.Errorf("%d: %v, want %v", i, err, want)
				}
			})
			synctest.Wait()
		}
		cancel()
		began := time.Now()
		group.Wait()
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

func TestSigninQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSigninQueues()
		g.Pause("mbx1", time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range maxWaiting {
			group.Go(func() { g.enter(ctx, "mbx1") })
		}
		synctest.Wait()
		if err := g.enter(ctx, "mbx1"); !errors.Is(err, errTooManyWait) {
			t.Errorf("one too many: %v", err)
		}
		cancel()
		group.Wait()
	})
}
