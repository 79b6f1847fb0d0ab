package relay

import (
	"context"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

func TestADrainOfManyIsSpreadOverTime(t *testing.T) {
	testkit.NoLeaks(t)
	r := newRig(t, drivers[0], Options{}, ways{})
	const many = 3*drainPerTick + 20
	talks := make([]*talk, many)
	for i := range talks {
		talks[i] = r.start()
	}
	carried := func() (n int) {
		inside(t, r.relay, func(lp *loop) {
			lp.links(func(l *link) {
				if l.phase == carrying {
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
			if l.phase == carrying {
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
	lp := &loop{sessions: 1e6, opts: Options{}.withDefaults(), stats: NewStats(), slots: make([]slot, firstSlot)}
	lp.beginDrain(10*time.Second, make(chan struct{}))
	if ticks := lp.sessions / lp.drain.perTick; ticks > 100 {
		t.Errorf("takes %d ticks", ticks)
	}
}

// Clients that do not close keep each loop waiting for a while, and all loops at the same time.
func TestAllLoopsDrainAtTheSameTime(t *testing.T) {
	testkit.NoLeaks(t)
	const loops, speed = 8, 2
	started := time.Now()
	r := newRig(t, drivers[0], Options{Loops: loops, Now: func() int64 { return speed*int64(time.Since(started)) + 1 }}, ways{})
	for range loops { // they are given out in turn
		busy := r.start()
		busy.client.say("a NOOP\n")
		busy.server.hears("a NOOP\n")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	r.relay.Drain(ctx)
	if took := time.Since(began); took > loops/2*closeLinger/speed {
		t.Errorf("took %v, of which each loop may %v", took, closeLinger/speed)
	}
}
