package health

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Options of an Engine.
type Options struct {
	Now    func() time.Time // default time.Now
	Random func() float64   // from 0 to 1, for jitter; safe for concurrent use; default math/rand
	// Changed is called for each change of a monitor's state. It must not block, nor call the engine.
	Changed func(before AlertValue, now MonitorState)
	// Save keeps when monitors changed, and Saved is what the process before has kept: a monitor that flaps does so
	// after a restart too. Nil keeps nothing. Save may block, and must not call the engine.
	Save   func([]byte) error
	Saved  []byte
	Failed func(error) // told if Save fails, or Saved cannot be read
}

// Engine runs probes, and keeps the state of monitors. Its methods are safe for concurrent use.
type Engine struct {
	opt     Options
	changed chan struct{} // holds one: there is another plan, or another time to look

	mu       sync.Mutex // guards what follows
	probes   map[string]planned
	monitors map[string]*monitor
	ordered  []*monitor            // by health set, name and target
	byProbe  map[string][]*monitor // by the probe's set, name and target
	last     uint64                // ID of a result
	work     sync.WaitGroup
	life     context.Context  // of the probes' goroutines; nil before Run
	recalled map[string]flaps // of the process before, of monitors that no plan has had yet
	kept     string           // what Save has taken last
}

// planned is a probe of the plan with its state. Its pointers do not change after Use, so a copy may be read without
// the mutex. The next plan makes another one, with another probe and the same state.
type planned struct {
	probe *Probe
	state *running
}

// running is the state of a probe, which later plans keep. The engine's mutex guards it.
type running struct {
	stop    context.CancelFunc // ends its goroutine
	history history
	hurry   chan struct{} // holds one: somebody has seen its target fail, or waits for it to come back
	follow  time.Time     // until then it is repeated in a hurry, unless it succeeds; see Follow
	ended   chan struct{} // closed when the run that is on ends; nil while none is
	awaited bool          // somebody waits for that, to run it by hand
	panics  int           // in a row
	until   time.Time     // it is left alone
}

// NewEngine returns an engine without a plan.
func NewEngine(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Changed == nil {
		o.Changed = func(AlertValue, MonitorState) {}
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	e := &Engine{
		opt: o, changed: make(chan struct{}, 1), probes: make(map[string]planned), monitors: make(map[string]*monitor),
		byProbe: make(map[string][]*monitor), kept: "{}",
	}
	if err := e.recall(o.Saved); err != nil {
		o.Failed(err)
	}
	return e
}

// Use replaces the plan. Probes and monitors that are in both plans keep their state.
func (e *Engine) Use(p Plan) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before, monitors := e.probes, e.monitors
	e.probes, e.monitors, e.byProbe = make(map[string]planned), make(map[string]*monitor), make(map[string][]*monitor)
	for _, probe := range p.Probes {
		p := planned{probe, before[probe.ID()].state}
		if p.state == nil {
			p.state = &running{hurry: make(chan struct{}, 1)}
		} else if p.state.stop != nil {
			p.state.stop()
			p.state.stop = nil
		}
		e.probes[probe.ID()] = p
		e.start(p)
	}
	for id, p := range before {
		if _, stays := e.probes[id]; !stays && p.state.stop != nil {
			p.state.stop()
		}
	}
	for _, of := range p.Monitors {
		m := monitors[of.ID()]
		if fresh := newMonitor(of, e.opt.Now()); m == nil {
			m = fresh
			m.flaps = e.recalled[of.ID()]
			delete(e.recalled, of.ID())
		} else {
			m.move(of.Elsewhere, e.opt.Now())
			m.Monitor = fresh.Monitor
		}
		e.monitors[of.ID()] = m
		judged := of.HealthSet + "/" + nameOf(of.Probe, of.Target)
		e.byProbe[judged] = append(e.byProbe[judged], m)
	}
	e.ordered = slices.SortedFunc(maps.Values(e.monitors), func(a, b *monitor) int {
		return cmp.Or(cmp.Compare(a.HealthSet, b.HealthSet), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Target, b.Target))
	})
	e.wake()
}

// wake makes Run look at the monitors again. Safe with or without mu.
func (e *Engine) wake() {
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// start starts a probe's goroutine, if the engine runs. The caller holds mu.
func (e *Engine) start(p planned) {
	if p.probe.Elsewhere || e.life == nil || e.life.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(e.life)
	p.state.stop = stop
	e.work.Go(func() { e.repeat(ctx, p) })
}

// Run runs the plan until ctx ends, and returns when all probes have ended.
func (e *Engine) Run(ctx context.Context) {
	e.mu.Lock()
	e.life = ctx
	for _, p := range e.probes {
		e.start(p)
	}
	e.mu.Unlock()
	e.lookOn(ctx)
	e.work.Wait()
}

// lookOn updates monitors whose state changes with time only.
func (e *Engine) lookOn(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.changed:
		case <-timer.C:
		}
		timer.Reset(e.lookAll())
		e.saveFlaps()
	}
}

// longestLook is the longest time between two looks at the monitors.
const longestLook = time.Minute

// lookAll looks at all monitors, and returns when to look again.
func (e *Engine) lookAll() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.opt.Now()
	next := now.Add(longestLook)
	for _, m := range e.ordered {
		e.transition(m, func() { m.look(now) })
		if at := m.next(); !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return max(next.Sub(now), 0)
}

// transition applies a change to a monitor, and reports the new state. The caller holds mu.
func (e *Engine) transition(m *monitor, change func()) {
	before := m.Value
	if change(); m.Value != before && !m.Elsewhere { // other nodes report theirs
		e.opt.Changed(before, m.MonitorState)
	}
}
