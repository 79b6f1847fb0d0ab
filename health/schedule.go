package health

import (
	"context"
	"slices"
	"time"

	"portico/health/catalogue"
)

// repeat runs a probe at its interval. The first run comes at a random time within one, so that not all run at once;
// and each a little sooner or later. In a hurry it runs at once, and then at a tenth of its interval as long as it
// fails and a monitor needs more of that.
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
		hurried = e.unsettled(p.probe.ID()) || began.Before(p.state.follow)
		e.mu.Unlock()
		pace := time.Duration((0.9 + e.opt.Random()/5) * float64(interval))
		if hurried {
			pace = interval / hurriedPace
		}
		timer.Reset(max(began.Add(pace).Sub(e.opt.Now()), 0))
	}
}

// hurriedPace is how many times as fast a probe is repeated in a hurry.
const hurriedPace = 10

// Hurry says that somebody has seen the target of a probe fail. The probe runs at once, at most ten times as often as
// its interval says, until it succeeds or its monitors have the failures that they need; they are Unhealthy then. It
// does not block.
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
	if e.unsettled(id) {
		p.state.press()
	}
}

// HurryAll hurries the probes that ask somebody about a target of a scope; see Hurry.
func (e *Engine) HurryAll(scope catalogue.Scope, target string) {
	for _, of := range catalogue.All() {
		if of.Scope == scope && !of.Check {
			e.Hurry(of.Set, of.Probe, target)
		}
	}
}

// Follow has the probe of a monitor repeated ten times as often as its interval says until it succeeds, or the time
// has come: its target was restarted, and somebody waits for it. It does not block, and does nothing if there is no
// such monitor.
func (e *Engine) Follow(monitor string, until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.monitors[monitor]
	if m == nil {
		return
	}
	if p, ok := e.probes[m.HealthSet+"/"+nameOf(m.Probe, m.Target)]; ok {
		p.state.follow = until
		p.state.press()
	}
}

// press has the probe run soon. The caller holds the engine's mutex.
func (r *running) press() {
	select {
	case r.hurry <- struct{}{}:
	default:
	}
}

// unsettled says whether a monitor of a probe is in a hurry, and still needs failures to judge. The caller holds mu.
func (e *Engine) unsettled(probe string) bool {
	return slices.ContainsFunc(e.byProbe[probe], func(m *monitor) bool { return m.hurried && m.Value != Unhealthy })
}

// firstWithin bounds the wait for a probe's first run: whoever has just started Portico wants to know.
const firstWithin = 5 * time.Second
