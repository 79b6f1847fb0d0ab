package relay

import (
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
