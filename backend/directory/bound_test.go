package directory

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		slow := source(func(ctx context.Context, q Query) (Entry, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			select {
			case <-time.After(2 * time.Second):
				return Entry{Database: "db1"}, nil
			case <-ctx.Done():
				return Entry{}, Unavailable("test", ctx.Err())
			}
		})
		bound := NewBound(2, 5*time.Second, here).Source(slow)
		var group sync.WaitGroup
		var answered, gaveUp atomic.Int32
		for range 7 {
			group.Go(func() {
				if says(t, bound, "ann") == "database=db1" {
					answered.Add(1)
				} else {
					gaveUp.Add(1)
				}
			})
		}
		group.Wait()
		if most.Load() != 2 || answered.Load() != 4 || gaveUp.Load() != 3 {
			t.Errorf("%d at once, %d answered, %d gave up", most.Load(), answered.Load(), gaveUp.Load())
		}
	})
}

// Waiting is bounded too: who comes when very many wait is told at once.
func TestBoundWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bound := NewBound(1, time.Second, here).Source(source(func(ctx context.Context, _ Query) (Entry, error) {
			<-ctx.Done()
			return Entry{}, Unavailable("test", ctx.Err())
		}))
		var group sync.WaitGroup
		for range 1 + waitersPerTurn {
			group.Go(func() { says(t, bound, "ann") })
		}
		synctest.Wait()
		began := time.Now()
		if got := says(t, bound, "bob"); got != "unavailable" || time.Since(began) != 0 {
			t.Errorf("%s after %s", got, time.Since(began))
		}
		group.Wait()
		if says(t, bound, "bob"); time.Since(began) != 2*time.Second {
			t.Errorf("the next question ends after %s", time.Since(began))
		}
	})
}

// What is at hand is answered where it is asked; what is not waits for it, once, and asks by the context of the wait.
func TestWaitIsForQuestionsAlone(t *testing.T) {
	type inside struct{}
	waited, asked := 0, 0
	wait := func(ctx context.Context, f func(context.Context)) {
		waited++
		f(context.WithValue(ctx, inside{}, true))
	}
	asks := source(func(ctx context.Context, _ Query) (Entry, error) {
		if ctx.Value(inside{}) != nil {
			asked++
		}
		return Entry{Database: "db1"}, nil
	})
	cache := cached(t, NewBound(1, time.Second, wait).Source(asks), CacheOptions{Wait: wait})
	for range 3 {
		cache.Lookup(t.Context(), Query{User: "ann"})
	}
	if waited != 1 || asked != 1 {
		t.Errorf("waited %d times, asked %d times inside the wait", waited, asked)
	}
}
