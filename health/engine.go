package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Plan is what an engine does: all probes and all monitors.
type Plan struct {
	Probes   []*Probe
	Monitors []Monitor
}

// Options is what an Engine is built from.
type Options struct {
	Now    func() time.Time // default time.Now
	Random func() float64   // from 0 to 1, for jitter; safe for concurrent use; default math/rand
	// Changed is told of a monitor's change of state. It must not block, nor call the engine.
	Changed func(before AlertValue, now MonitorState)
}

// Engine runs probes and keeps what monitors make of their results. Its methods are safe for concurrent use.
type Engine struct {
	opt     Options
	changed chan struct{} // holds one: there is another plan, or another time to look

	mu       sync.Mutex // guards what follows
	probes   map[string]planned
	monitors map[string]*monitor
	byProbe  map[string][]*monitor // by the probe's set, name and target
	last     uint64                // ID of a result
	work     sync.WaitGroup
	life     context.Context // of the probes' goroutines; nil before Run
}

// planned is a probe of the plan with its state. Neither pointer changes after Use has made it, so a copy may be read without the mutex: the
// next plan makes another one, with another probe and the same state.
type planned struct {
	probe *Probe
	state *running
}

// running is what is known of a probe, whatever plan it comes from. The engine's mutex guards it.
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
	return &Engine{
		opt: o, changed: make(chan struct{}, 1), probes: make(map[string]planned), monitors: make(map[string]*monitor), byProbe: make(map[string][]*monitor),
	}
}

// Use puts a plan in the place of the one before. What is in both goes on as it was.
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
		} else {
			m.Monitor = fresh.Monitor
		}
		e.monitors[of.ID()] = m
		judged := of.HealthSet + "/" + nameOf(of.Probe, of.Target)
		e.byProbe[judged] = append(e.byProbe[judged], m)
	}
	e.tell()
}

// tell wakes Run. The caller holds mu, or nobody.
func (e *Engine) tell() {
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// start begins a probe's goroutine, if the engine runs. The caller holds mu.
func (e *Engine) start(p planned) {
	if e.life == nil || e.life.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(e.life)
	p.state.stop = stop
	e.work.Go(func() { e.repeat(ctx, p) })
}

// Run runs the plan until the context ends, and returns when no probe runs any more.
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

// lookOn looks at monitors whose state changes with time alone.
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
	}
}

// longestLook is how long nobody looks though nothing is due.
const longestLook = time.Minute

// lookAll looks at all monitors, and returns when to look again.
func (e *Engine) lookAll() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.opt.Now()
	next := now.Add(longestLook)
	for _, m := range e.monitors {
		e.transition(m, func() { m.look(now) })
		if at := m.next(); !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return max(next.Sub(now), 0)
}

// transition tells of what a change has made of a monitor's state. The caller holds mu.
func (e *Engine) transition(m *monitor, change func()) {
	before := m.Value
	if change(); m.Value != before {
		e.opt.Changed(before, m.MonitorState)
	}
}

// repeat runs a probe at its interval. The first run comes at a random time within one, so that not all run at once; and each a little
// sooner or later. In a hurry it runs at once, and then at a tenth of its interval as long as it fails and a monitor needs more of that.
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

// Hurry says that somebody has seen the target of a probe fail. The probe runs at once, at most ten times as often as its
// interval says, until it succeeds or its monitors have the failures that they need; they are Unhealthy then. It does not
// block.
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

// Follow has the probe of a monitor repeated ten times as often as its interval says until it succeeds, or the time has come: its target was
// restarted, and somebody waits for it. It does not block, and does nothing if there is no such monitor.
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

// run runs a probe once and has its monitors judge. It is an error if the context ends first: then there is no result.
func (e *Engine) run(ctx context.Context, p planned, timeout time.Duration, run *Run, byHand bool) (*Result, error) {
	r := p.state
	e.mu.Lock()
	if byHand {
		e.awaitTurn(ctx, p)
		if ctx.Err() != nil { // nobody wants to know any more
			e.mu.Unlock()
			return nil, context.Cause(ctx)
		}
	}
	now := e.opt.Now()
	skip := ResultType(0)
	switch {
	case r.ended != nil:
		skip = Rejected
	case now.Before(r.until):
		skip = Quarantined
	}
	if skip != 0 {
		defer e.mu.Unlock()
		result := &Result{
			HealthSet: p.probe.HealthSet, Probe: p.probe.Name, Target: p.probe.Target, Type: skip, Start: now, End: now, ByHand: byHand,
		}
		result.Err = map[ResultType]string{Rejected: "it is running", Quarantined: "it has panicked too often"}[skip]
		e.keep(p, result)
		return result, nil
	}
	r.ended = make(chan struct{})
	e.mu.Unlock()

	result := p.probe.execute(ctx, timeout, e.opt.Now, run)
	e.mu.Lock()
	defer e.mu.Unlock()
	close(r.ended)
	r.ended = nil
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if result == nil {
		return nil, nil
	}
	result.ByHand = byHand
	if result.Type == Poisoned {
		if r.panics++; r.panics >= maxPanics {
			r.until, r.panics = e.opt.Now().Add(quarantine), 0
		}
	} else {
		r.panics = 0
	}
	e.keep(p, result)
	return result, nil
}

// awaitTurn waits for the end of the run that is on, for as long as one may take: whoever asks wants to know how it is now, not that somebody
// looks already. One waits at a time; others are rejected. The caller holds mu, which is given up meanwhile.
func (e *Engine) awaitTurn(ctx context.Context, p planned) {
	r := p.state
	if r.ended == nil || r.awaited {
		return
	}
	r.awaited = true
	ended, timer := r.ended, time.NewTimer(p.probe.Timeout)
	e.mu.Unlock()
	select {
	case <-ended:
	case <-timer.C:
	case <-ctx.Done():
	}
	timer.Stop()
	e.mu.Lock()
	r.awaited = false
}

// keep keeps a result, and has monitors judge by it. The caller holds mu.
func (e *Engine) keep(p planned, result *Result) {
	e.last++
	result.ID = e.last
	p.state.history.add(result)
	if !result.counts() {
		return
	}
	if result.good() {
		p.state.follow = time.Time{}
	}
	now := e.opt.Now()
	for _, m := range e.byProbe[p.probe.ID()] {
		e.transition(m, func() { m.judge(result, now) })
	}
	e.tell()
}

// ErrUnknown says that there is no such probe or monitor. Errors that wrap it say which name it is, in words.
var ErrUnknown = errors.New("unknown name")

// unknown is an error that wraps ErrUnknown.
type unknown string

func (u unknown) Error() string { return string(u) }
func (u unknown) Unwrap() error { return ErrUnknown }

// RunNow runs probes by hand: those of a health set, name and target, of which the last may be "" for all. What they find does not
// count for monitors.
func (e *Engine) RunNow(ctx context.Context, set, name, target string, by ByHand) ([]*Result, error) {
	if by.Endpoint != "" && by.Account == "" {
		return nil, errors.New("an endpoint wants an account and its password: those of the health mailboxes go nowhere else")
	}
	e.mu.Lock()
	var chosen []planned
	for _, p := range e.probes {
		if strings.EqualFold(p.probe.HealthSet, set) && strings.EqualFold(p.probe.Name, name) && (target == "" || p.probe.Target == target) {
			chosen = append(chosen, p)
		}
	}
	e.mu.Unlock()
	if len(chosen) == 0 {
		return nil, unknown(fmt.Sprintf("there is no probe %s/%s", set, nameOf(name, target)))
	}
	for _, p := range chosen {
		if by.Endpoint != "" && !p.probe.Anywhere {
			return nil, fmt.Errorf("%s takes no endpoint: it looks at what is configured", name)
		}
	}
	slices.SortFunc(chosen, func(a, b planned) int { return cmp.Compare(a.probe.Target, b.probe.Target) })
	results := make([]*Result, len(chosen))
	errs := make([]error, len(chosen))
	var work sync.WaitGroup
	for i, p := range chosen {
		work.Go(func() {
			t := cmp.Or(by.Timeout, p.probe.Timeout)
			results[i], errs[i] = e.run(ctx, p, t, &Run{Account: by.Account, Password: by.Password, Endpoint: by.Endpoint, ByHand: true, ReadOnly: by.ReadOnly}, true)
		})
	}
	work.Wait()
	return results, errors.Join(errs...)
}

// Monitors returns the state of all monitors, by health set, name and target.
func (e *Engine) Monitors() []MonitorState {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.opt.Now()
	all := make([]MonitorState, 0, len(e.monitors))
	for _, m := range e.monitors {
		e.transition(m, func() { m.look(now) })
		all = append(all, m.MonitorState)
	}
	slices.SortFunc(all, func(a, b MonitorState) int { return cmp.Compare(a.ID(), b.ID()) })
	return all
}

// Sets returns the health sets.
func (e *Engine) Sets() []SetState { return rollUp(e.Monitors()) }

// ProbeState is a probe and what it has found, the latest first. It is a copy.
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

// SetRepairing says that somebody works on what a monitor watches, or no longer.
func (e *Engine) SetRepairing(id string, on bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.monitors[id]
	if m == nil {
		return unknown("there is no monitor " + id)
	}
	m.repairing = on
	now := e.opt.Now()
	e.transition(m, func() { m.look(now) })
	return nil
}
