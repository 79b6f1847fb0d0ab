package backend

import "time"

// stopwatch measures how long each phase of an attempt takes. A phase entered twice has one lap, of both times
// together. Once begun it must not be copied.
type stopwatch struct {
	now   func() time.Time
	phase string // the one under way
	since time.Time
	laps  []lap
	room  [4]lap // for the laps of nearly every attempt
}

type lap struct {
	phase string
	spent time.Duration
}

// enter ends the phase under way and begins another.
func (w *stopwatch) enter(phase string) {
	now := w.now()
	w.end(now)
	w.phase, w.since = phase, now
}

func (w *stopwatch) end(now time.Time) {
	if w.phase == "" {
		return
	}
	spent := now.Sub(w.since)
	for i := range w.laps {
		if w.laps[i].phase == w.phase {
			w.laps[i].spent += spent
			return
		}
	}
	if w.laps == nil {
		w.laps = w.room[:0]
	}
	w.laps = append(w.laps, lap{w.phase, spent})
}

// report ends the phase under way and tells step, if there is one, of every phase in the order they began.
func (w *stopwatch) report(step func(phase string, d time.Duration)) {
	w.end(w.now())
	w.phase = ""
	if step == nil {
		return
	}
	for _, l := range w.laps {
		step(l.phase, l.spent)
	}
}
