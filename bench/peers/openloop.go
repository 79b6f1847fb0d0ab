//go:build unix

package peers

import (
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// pace calls f when something is due, rate times a second for d. It has a thread of its own to
// sleep on.
func pace(rate float64, d time.Duration, f func(i int, due time.Time)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := time.Now()
	for i := range int(rate * d.Seconds()) {
		due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			sleep(wait)
		}
		f(i, due)
	}
}

// waits are how long commands took, from when they were due.
type waits []sample

type sample struct {
	due  time.Time
	took time.Duration
}

// quantile returns the q-th of the waits, in milliseconds.
func (w waits) quantile(q float64) float64 {
	if len(w) == 0 {
		return 0
	}
	took := make([]time.Duration, len(w))
	for i, s := range w {
		took[i] = s.took
	}
	slices.Sort(took)
	return float64(took[min(int(q*float64(len(took))), len(took)-1)]) / float64(time.Millisecond)
}

// openLoop has NOOPs due at a rate, spread over the clients. One that is due while its session still waits for an
// answer goes out late, and counts from when it was due.
func openLoop(clients []*client, rate float64, d time.Duration) (waits, error) {
	var (
		mu   sync.Mutex
		all  waits
		work errgroup.Group
	)
	queues := make([]chan time.Time, len(clients))
	for i, c := range clients {
		queue := make(chan time.Time, int(rate*d.Seconds())/len(clients)+1)
		queues[i] = queue
		work.Go(func() error {
			var mine waits
			for due := range queue {
				if err := c.do("a NOOP\r\n"); err != nil {
					return err
				}
				mine = append(mine, sample{due, time.Since(due)})
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
			return nil
		})
	}
	pace(rate, d, func(i int, due time.Time) { queues[i%len(queues)] <- due })
	for _, queue := range queues {
		close(queue)
	}
	return all, work.Wait()
}
