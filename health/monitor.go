package health

import (
	"slices"
	"time"
)

// AlertValue is a monitor's state.
type AlertValue uint8

// The states, from the best to the worst for a health set's roll-up.
const (
	Disabled      AlertValue = iota // switched off by an override
	UnInitialized                   // no result yet
	Healthy                         // all is well
	Repairing                       // somebody knows, and works on it
	Degraded                        // it fails, for less than UnhealthyAfter; or it flaps
	Unavailable                     // no results come any more
	Unhealthy                       // it has failed for longer
)

var alertValues = [...]string{
	Disabled: "Disabled", Healthy: "Healthy", UnInitialized: "UnInitialized", Repairing: "Repairing",
	Degraded:    "Degraded",
	Unavailable: "Unavailable", Unhealthy: "Unhealthy",
}

// String returns Exchange's name.
func (v AlertValue) String() string { return alertValues[v] }

// AlertValues lists the names of all states.
func AlertValues() []string { return slices.Clone(alertValues[:]) }

// Monitor is one instance of a monitor: it judges the results of one probe, of the same target.
type Monitor struct {
	HealthSet      string
	Name           string
	Target         string
	Probe          string        // whose results
	Failures       int           // consecutive failures that turn it: Exchange's OverallConsecutiveProbeFailures
	UnhealthyAfter time.Duration // Degraded so long; default 60 s
	StaleAfter     time.Duration // without a result it is Unavailable
	Flapping       Flapping
	Interval       time.Duration // of the probe
	Component      string        // that it belongs to, such as ImapProxy
	Elsewhere      bool          // other nodes run its probe; see Engine.Report
	Off            bool          // it is Disabled
	Description    string
}

// ID is the monitor's identity, as a probe's.
func (m *Monitor) ID() string { return m.HealthSet + "/" + nameOf(m.Name, m.Target) }

// StaleAfter is how long a probe may be silent before its monitor is Unavailable: three intervals, and the time of a
// run.
func StaleAfter(interval, timeout time.Duration) time.Duration { return 3*interval + timeout }

// defaultUnhealthyAfter is Exchange's (docs/exchange.md).
const defaultUnhealthyAfter = time.Minute

// MonitorState describes a monitor. It is a copy.
type MonitorState struct {
	Monitor
	Value          AlertValue
	LastTransition time.Time // when Value changed
	FirstAlert     time.Time // since when it fails; zero while it does not
	LastResult     *Result   // by which it judges; nil if there was none
	LastFailure    *Result   // the latest that failed
	LastSuccess    time.Time // when the latest that succeeded began; zero if none has
	Stale          bool      // results do not come any more
	InRow          int       // failures in a row
	WellInRow      int       // successes in a row
	// it has begun to fail and ended to so often that it is Degraded while it is well; zero if it has not
	FlapsSince time.Time
	FlapsUntil time.Time // when it flaps no longer, if it does not change before; zero if it does not flap
	Nodes      []string  // of a monitor that is Elsewhere: who runs its probe
}

// monitor is a monitor with its state. The engine's mutex guards it.
type monitor struct {
	MonitorState
	began     time.Time // when it was made
	repairing bool
	flaps     flaps
	hurried   bool   // somebody else has seen its target fail: it is not Degraded first; see Engine.Hurry
	report    Report // of a monitor that is Elsewhere
}

func newMonitor(m Monitor, now time.Time) *monitor {
	if m.UnhealthyAfter == 0 {
		m.UnhealthyAfter = defaultUnhealthyAfter
	}
	m.Failures = max(m.Failures, 1)
	return &monitor{MonitorState: MonitorState{Monitor: m, Value: UnInitialized, LastTransition: now}, began: now}
}

// judge updates the monitor with a result.
func (m *monitor) judge(r *Result, now time.Time) {
	m.LastResult = r
	if r.good() {
		m.InRow, m.hurried, m.LastSuccess = 0, false, r.Start
		m.WellInRow++
	} else {
		m.WellInRow = 0
		m.LastFailure = r
		m.InRow++
	}
	m.look(now)
}

// look computes the monitor's state from its results and the time, and says whether the state has changed.
func (m *monitor) look(now time.Time) bool {
	if m.Elsewhere {
		return m.lookElsewhere(now)
	}
	last := m.began
	if m.LastResult != nil {
		last = m.LastResult.End
	}
	m.Stale = m.StaleAfter > 0 && now.Sub(last) > m.StaleAfter
	switch fails := m.InRow >= m.Failures; { // an override may have changed the number
	case !fails:
		m.FirstAlert = time.Time{}
	case m.FirstAlert.IsZero():
		m.FirstAlert = now
	}
	value := Healthy
	switch {
	case m.Off:
		value = Disabled
	case m.repairing:
		value = Repairing
	case m.Stale:
		value = Unavailable
	case m.LastResult == nil:
		value = UnInitialized
	case !m.FirstAlert.IsZero() && now.Sub(m.FirstAlert) >= m.degradedTime():
		value = Unhealthy
	case !m.FirstAlert.IsZero():
		value = Degraded
	case m.InRow > 0 && m.Value == UnInitialized: // a failure alone says nothing yet
		value = UnInitialized
	}
	fails := !m.FirstAlert.IsZero()
	if !fails && m.WellInRow == 0 { // one that failed before a restart goes on until it succeeds
		fails = m.flaps.failed
	}
	m.FlapsSince = m.flaps.look(m.Flapping, fails, now)
	m.FlapsUntil = time.Time{}
	if !m.FlapsSince.IsZero() {
		m.FlapsUntil = m.flaps.quietAt(m.Flapping)
	}
	if value == Healthy && !m.FlapsSince.IsZero() {
		value = Degraded
	}
	if value == m.Value {
		return false
	}
	m.Value, m.LastTransition = value, now
	return true
}

// degradedTime is how long the monitor is Degraded before it is Unhealthy. If users fail too, the number of failures
// is enough.
func (m *monitor) degradedTime() time.Duration {
	if m.hurried {
		return 0
	}
	return m.UnhealthyAfter
}

// next returns when to look again without a new result.
func (m *monitor) next() (at time.Time) {
	if m.Elsewhere {
		return at
	}
	if m.Value == Degraded && !m.FirstAlert.IsZero() {
		at = m.FirstAlert.Add(m.degradedTime())
	}
	if quiet := m.FlapsUntil; !quiet.IsZero() && (at.IsZero() || quiet.Before(at)) {
		at = quiet
	}
	last := m.began
	if m.LastResult != nil {
		last = m.LastResult.End
	}
	if stale := last.Add(m.StaleAfter + 1); m.StaleAfter > 0 && !m.Stale && (at.IsZero() || stale.Before(at)) {
		at = stale
	}
	return at
}
