package health

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"portico/configs/suggest"
)

// Monitors returns the state of all monitors, by health set, name and target.
func (e *Engine) Monitors() []MonitorState {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.opt.Now()
	all := make([]MonitorState, 0, len(e.ordered))
	for _, m := range e.ordered {
		e.transition(m, func() { m.look(now) })
		all = append(all, m.MonitorState)
	}
	return all
}

// Sets returns the health sets.
func (e *Engine) Sets() []SetState { return rollUp(e.Monitors()) }

// ProbeState is a probe and its results, the latest first. It is a copy.
type ProbeState struct {
	*Probe
	Results []*Result
	Busy    bool
	Until   time.Time // in quarantine until then
}

// Probes returns all probes with their results.
func (e *Engine) Probes() []ProbeState {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]ProbeState, 0, len(e.probes))
	for _, p := range e.probes {
		r := p.state
		all = append(all, ProbeState{Probe: p.probe, Results: r.history.all(), Busy: r.ended != nil, Until: r.until})
	}
	slices.SortFunc(all, func(a, b ProbeState) int { return cmp.Compare(a.ID(), b.ID()) })
	return all
}

// History returns the results that are kept of a probe, the latest first.
func (e *Engine) History(set, probe, target string) []*Result {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, ok := e.probes[set+"/"+nameOf(probe, target)]
	if !ok {
		return nil
	}
	return p.state.history.all()
}

// SetRepairing sets or clears a monitor's state Repairing.
func (e *Engine) SetRepairing(id string, on bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.monitors[id]
	if m == nil {
		return unknown(suggest.NoSuch("monitor", id, slices.Sorted(maps.Keys(e.monitors))))
	}
	m.repairing = on
	now := e.opt.Now()
	e.transition(m, func() { m.look(now) })
	return nil
}
