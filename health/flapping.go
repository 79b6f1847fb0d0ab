package health

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Flapping says when a monitor flaps: if it changes between failing and well more than Changes times in Window. Then
// it is Degraded until it has not changed for Window. With Changes 0 it never flaps.
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

// look records whether the monitor fails now, and returns since when it flaps, zero if it does not.
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

// quietAt is when a monitor stops flapping if it does not change.
func (f *flaps) quietAt(of Flapping) time.Time {
	if len(f.changes) == 0 {
		return time.Time{}
	}
	return f.changes[len(f.changes)-1].Add(of.Window)
}

// savedFlaps is what the store keeps of a monitor's changes, for after a restart.
type savedFlaps struct {
	Failed  bool        `json:"failed,omitempty"`
	Changes []time.Time `json:"changes"`
	Since   time.Time   `json:"since,omitzero"`
}

// recall reads the stored changes. Each monitor begins with its own; see Use.
func (e *Engine) recall(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	var saved map[string]savedFlaps
	if err := json.Unmarshal(text, &saved); err != nil {
		return fmt.Errorf("state changes of monitors: %w", err)
	}
	e.recalled = make(map[string]flaps)
	now := e.opt.Now()
	for id, s := range saved { // a clock that was wrong must not make a monitor flap for ever
		s.Changes = slices.DeleteFunc(s.Changes, func(at time.Time) bool { return at.After(now) })
		e.recalled[id] = flaps{failed: s.Failed, changes: s.Changes, since: s.Since}
	}
	return nil
}

// saveFlaps stores the changes of all monitors, if they differ from those stored last.
func (e *Engine) saveFlaps() {
	if e.opt.Save == nil {
		return
	}
	e.mu.Lock()
	all := make(map[string]savedFlaps)
	for id, m := range e.monitors {
		if f := m.flaps; len(f.changes) > 0 {
			all[id] = savedFlaps{f.failed, f.changes, f.since}
		}
	}
	text, err := json.Marshal(all) // under the mutex: monitors change their lists
	same := string(text) == e.kept
	e.mu.Unlock()
	if err == nil && same {
		return
	}
	if err == nil {
		err = e.opt.Save(text)
	}
	if err != nil {
		e.opt.Failed(fmt.Errorf("store the state changes of monitors: %w", err))
		return
	}
	e.mu.Lock()
	e.kept = string(text)
	e.mu.Unlock()
}
