package proxy

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portico/sleep"
)

// However many ask for a list at the same time, one is made for all, and lists are made during a small part of the
// time. Nobody gets a list that was begun before the question.
func TestSharedList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu     sync.Mutex
			things []int
			made   int
		)
		l := newSharedList(Options{Now: time.Now, Sleep: sleep.For}, func() []int {
			mu.Lock()
			there := slices.Clone(things)
			made++
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			return there
		})
		began := time.Now()
		var askers sync.WaitGroup
		for i := range 100 {
			mu.Lock()
			things = append(things, i)
			mu.Unlock()
			for range 3 {
				askers.Go(func() {
					if got := l.get(); len(got) <= i {
						t.Errorf("question %d got a list of %d things", i, len(got))
					}
				})
			}
			time.Sleep(3 * time.Millisecond)
		}
		askers.Wait()
		took := time.Since(began)
		if most := int(took/(50*time.Millisecond)) + 1; made > most || made < 2 {
			t.Errorf("%d lists in %v, at most %d wanted", made, took, most)
		}
		time.Sleep(time.Minute)
		began = time.Now()
		if l.get(); time.Since(began) != 10*time.Millisecond {
			t.Errorf("after a pause, a list took %v", time.Since(began))
		}
	})
}
