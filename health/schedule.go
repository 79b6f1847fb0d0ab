package health

import (
	"context"
	"slices"
	"time"

	"portico/health/catalogue"
)

// repeat runs a probe at its interval. The first run comes at a random time within one interval, so that not all run
// at once, and each further run a little sooner or later. In a hurry the probe runs at once, and then at a tenth of
// its interval while it fails and a monitor needs more failures.
func (e *Engine) repeat(ctx context.Context, p planned) {
	interval := p.probe.Interval
	timer := time.NewTimer(time.Duration(e.opt.Random() * float64(min(interval, firstWithin))))
	defer timer.Stop()
	var began time.Time
	for hurried := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-p.state.hurry:
			if !hurried {
				hurried = true
				timer.Reset(max(began.Add(interval/hurriedPace).Sub(e.opt.Now()), 0))
			}
			continue
		case <-timer.C:
		}
		began = e.opt.Now()
		if _, err := e.run(ctx, p, p.probe.Timeout, new(Run), false); err != nil {
			return
		}
		e.mu.Lock()
		hurried = e.needsFailures(p.probe.ID()) || began.Before(p.state.follow)
		e.mu.Unlock()
		pace := time.Duration((0.9 + e.opt.Random()/5) * float64(interval))
		if hurried {
			pace = interval / hurriedPace
		}
		timer.Reset(max(began.Add(pace).Sub(e.opt.Now()), 0))
	}
}

// hurriedPace divides the interval of a probe in a hurry.
const hurriedPace = 10

// Hurry is for a target that others, for example users, have found failing. The target's probe runs at once, and then
// at most ten times as often as usual, until it succeeds or its monitors have the failures that make them Unhealthy.
// Hurry does not block.
func (e *Engine) Hurry(set, probe, target string) {
	id := set + "/" + nameOf(probe, target)
	e.mu.Lock()
	defer e.mu.Unlock()
	p, ok := e.probes[id]
	if !ok {
		return
	}
	for _, m := range e.byProbe[id] {
		m.hurried = true
	}
	if e.needsFailures(id) {
		p.state.runSoon()
	}
}

// HurryAll is Hurry for all probes of a target that ask a server.
func (e *Engine) HurryAll(scope catalogue.Scope, target string) {
	for _, of := range catalogue.All() {
		if of.Scope == scope && !of.Check {
			e.Hurry(of.Set, of.Probe, target)
		}
	}
}

// Follow repeats the probe of a monitor ten times as often as usual, until it succeeds or until the time. It is for a
// target that was restarted. It does not block, and does nothing if there is no such monitor.
func (e *Engine) Follow(monitor string, until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.monitors[monitor]
	if m == nil {
		return
	}
	if p, ok := e.probes[m.HealthSet+"/"+nameOf(m.Probe, m.Target)]; ok {
		p.state.follow = until
		p.state.runSoon()
	}
}

// runSoon makes the probe run soon. The caller holds the engine's mutex.
func (r *running) runSoon() {
	select {
	case r.hurry <- struct{}{}:
	default:
	}
}

// needsFailures says whether a monitor of a probe in a hurry needs more failures to become Unhealthy. The caller holds
// mu.
func (e *Engine) needsFailures(probe string) bool {
	return slices.ContainsFunc(e.byProbe[probe], func(m *monitor) bool { return m.hurried && m.Value != Unhealthy })
}

// firstWithin bounds the wait for a probe's first run, so that operators get results soon after a start.
const firstWithin = 5 * time.Second
