package health

import (
	"slices"
	"time"

	"portico/health/catalogue"
)

// Report is what other nodes have found about a monitor whose probe they run.
type Report struct {
	Value   AlertValue
	Since   time.Time // when this node has heard of it
	Failure *Result   // the latest failure, if it fails
	Nodes   []string  // who runs the probe
}

// LeaveTo leaves those probes that ask a mailbox server about a target to other nodes, unless this node is one of those
// that look at the target. Such a probe runs by hand only, and its monitor has the state that Engine.Report gives it.
func (p Plan) LeaveTo(looks func(target string) bool) {
	for _, probe := range p.Probes {
		probe.Elsewhere = isShared(probe.Name, probe.Target) && !looks(probe.Target)
	}
	for i := range p.Monitors {
		m := &p.Monitors[i]
		m.Elsewhere = isShared(m.Probe, m.Target) && !looks(m.Target)
	}
}

// isShared says whether a probe finds the same on each node of a site, so that not all need to run it.
func isShared(probe, target string) bool {
	e, known := catalogue.OfProbe(probe)
	return known && !e.Check && target != ""
}

// Report replaces what other nodes have found about the monitors that are theirs, by identity. One that is not there
// is UnInitialized.
func (e *Engine) Report(all map[string]Report) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.opt.Now()
	for id, m := range e.monitors {
		if m.Elsewhere {
			report, _ := all[id]
			m.report = report
			e.transition(m, func() { m.look(now) })
		}
	}
}

// move changes whose a monitor is. What was known before may be old by now.
func (m *monitor) move(elsewhere bool, now time.Time) {
	if m.Elsewhere == elsewhere {
		return
	}
	m.Elsewhere, m.began, m.report = elsewhere, now, Report{}
	m.LastResult, m.LastFailure, m.Nodes = nil, nil, nil
	m.InRow, m.WellInRow, m.hurried = 0, 0, false
	m.LastSuccess, m.FirstAlert = time.Time{}, time.Time{}
}

// lookElsewhere is look for a monitor of other nodes. They say only what changes, so one that is healthy counts as
// having succeeded at each interval since then.
func (m *monitor) lookElsewhere(now time.Time) bool {
	r := m.report
	m.Stale, m.Nodes, m.LastFailure = false, slices.Clone(r.Nodes), r.Failure
	m.FlapsSince, m.FlapsUntil = time.Time{}, time.Time{}
	m.InRow, m.WellInRow, m.FirstAlert = 0, 0, time.Time{}
	value := r.Value
	switch {
	case m.Off:
		value = Disabled
	case m.repairing:
		value = Repairing
	case len(r.Nodes) == 0:
		value = UnInitialized
	}
	switch r.Value {
	case Healthy:
		m.LastSuccess, m.WellInRow = r.Since, 1
		if m.Interval > 0 {
			m.WellInRow += int(now.Sub(r.Since) / m.Interval)
		}
	case Degraded, Unhealthy:
		m.InRow, m.FirstAlert = m.Failures, r.Since
	}
	if value == m.Value {
		return false
	}
	m.Value, m.LastTransition = value, now
	return true
}
