package relay

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

func TestADrainOfManyIsSpreadOverTime(t *testing.T) { eachLoop(t, aDrainOfManyIsSpreadOverTime) }

func aDrainOfManyIsSpreadOverTime(t *testing.T, d driver) {
	testkit.NoLeaks(t)
	r := newRig(t, d, Options{}, ways{})
	const many = 3*drainPerTick + 20
	talks := make([]*talk, many)
	for i := range talks {
		talks[i] = r.start()
	}
	carried := func() (n int) {
		inside(t, r.relay, func(lp *loop) {
			lp.links(func(l *link) {
				if l.phase == phaseCarrying {
					n++
				}
			})
		})
		return n
	}
	testkit.Eventually(t, "all are carried", func() bool { return carried() == many })
	left := 0
	inside(t, r.relay, func(lp *loop) {
		lp.beginDrain(10*tick, make(chan struct{}))
		lp.links(func(l *link) {
			if l.phase == phaseCarrying {
				left++
			}
		})
	})
	if left != many-drainPerTick {
		t.Errorf("%d of %d are left at once", left, many)
	}
	for _, tk := range talks {
		tk.sentAway()
	}
}

func TestADrainKeepsItsTimeHoweverManyThereAre(t *testing.T) {
	lp := &loop{sessions: 1e6, opts: complete(Options{}), stats: NewStats(), slots: make([]slot, firstSlot)}
	lp.beginDrain(10*time.Second, make(chan struct{}))
	if ticks := lp.sessions / lp.drain.perTick; ticks > 100 {
		t.Errorf("takes %d ticks", ticks)
	}
}

// A drain plans the ends of quiet sessions for half of its time, so that busy ones have the rest.
func TestADrainPlansForHalfItsTime(t *testing.T) { eachLoop(t, aDrainPlansForHalfItsTime) }

func aDrainPlansForHalfItsTime(t *testing.T, d driver) {
	const many = 100_000
	for _, test := range []struct {
		limit    time.Duration // 0 is none
		min, max int
	}{{100 * time.Second, many / 500, many / 400}, {0, many / 50, many/50 + 1}} {
		r := newRig(t, d, Options{}, ways{})
		inside(t, r.relay, func(lp *loop) { lp.sessions += many })
		ctx := t.Context()
		if test.limit > 0 {
			limited, cancel := context.WithTimeout(ctx, test.limit)
			defer cancel()
			ctx = limited
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.relay.Drain(ctx)
		}()
		perTick := 0
		testkit.Eventually(t, "the drain is planned", func() bool {
			inside(t, r.relay, func(lp *loop) { perTick = lp.drain.perTick })
			return perTick > 0
		})
		if perTick < test.min || perTick > test.max {
			t.Errorf("within %v: %d sessions at a tick, want %d to %d", test.limit, perTick, test.min, test.max)
		}
		inside(t, r.relay, func(lp *loop) { lp.sessions -= many; lp.signalEmpty() })
		<-done
	}
}

// Clients that do not close keep each loop waiting for a while, and all loops at the same time.
func TestAllLoopsDrainAtTheSameTime(t *testing.T) { eachLoop(t, allLoopsDrainAtTheSameTime) }

func allLoopsDrainAtTheSameTime(t *testing.T, d driver) {
	testkit.NoLeaks(t)
	const loops = 8
	var clock atomic.Int64
	clock.Store(1)
	r := newRig(t, d, Options{Loops: loops, Now: clock.Load}, ways{})
	for range loops { // they are given out in turn
		busy := r.start()
		busy.client.say("a NOOP\n")
		busy.server.hears("a NOOP\n")
	}
	done := r.drain(0)
	testkit.Eventually(t, "all loops wait for their clients", func() bool {
		waiting := 0
		inside(t, r.relay, func(lp *loop) { waiting += len(lp.closing) })
		return waiting == loops
	})
	clock.Add(int64(closeLinger))
	r.drained(done)
}
