package health

import (
	"slices"
	"time"
)

// Flapping says when a monitor flaps: if it begins to fail and is well again more than Changes times in Window, each
// beginning and each end counted. Then it is Degraded until it has not changed for Window. Changes of 0 say never.
type Flapping struct {
	Changes int
	Window  time.Duration
}

// flaps is what is known of a monitor's changes.
type flaps struct {
	failed  bool
	changes []time.Time // the latest, one more than may be
	since   time.Time   // it flaps; zero if it does not
}

// look notes whether the monitor fails now, and returns since when it flaps, zero if it does not.
func (f *flaps) look(of Flapping, fails bool, now time.Time) (since time.Time) {
	if len(f.changes) > 0 && !now.Before(f.quietAt(of)) {
		f.changes, f.since = nil, time.Time{}
	}
	if fails != f.failed {
		f.failed = fails
		f.changes = append(f.changes, now)
	}
	if more := len(f.changes) - of.Changes - 1; more > 0 {
		f.changes = slices.Delete(f.changes, 0, more)
	}
	switch n := len(f.changes); {
	case of.Changes == 0:
		*f = flaps{failed: f.failed}
	case n > of.Changes && f.changes[n-1].Sub(f.changes[0]) <= of.Window && f.since.IsZero():
		f.since = now
	}
	return f.since
}

// quietAt is when a monitor that does not change any more does not flap any more.
func (f *flaps) quietAt(of Flapping) time.Time {
	if len(f.changes) == 0 {
		return time.Time{}
	}
	return f.changes[len(f.changes)-1].Add(of.Window)
}
