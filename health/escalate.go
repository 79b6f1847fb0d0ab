package health

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// EscalatorOptions is what an Escalator is built from.
type EscalatorOptions struct {
	// nil: nothing is said at present, neither that something is at fault nor that it is over
	Monitors func() []MonitorState
	// Ready says whether people are to be told of a monitor yet: recovery may be at work. Default: yes.
	Ready func(m MonitorState) bool
	// Active says on which mailbox server a database is active, "" if on none. Default: on none.
	Active func(database string) (server string)
	Sinks  []Sink
	// Tried lists what recovery has done about an alert, a line for each step; nil: nothing is known of that.
	Tried func(a Alert) []string
	// Told is told that a sink has taken an alert for the first time; nil tells nobody. It may block: only that sink
	// waits.
	Told   func(a Alert, by Sink)
	Common int // in a hundred; see IsCommon
	// how long a monitor has to be at fault before somebody is told: what has turned others too is told with them;
	// default a minute
	Gather time.Duration
	Now    func() time.Time // default time.Now
	Failed func(error)      // told of a sink that fails
	// Bundle writes down what is known when an alert begins, and says where; nil: nobody does.
	Bundle func(ctx context.Context, a Alert) (where string, err error)
	// Save keeps the alerts that are open, and Saved is what was kept by the process before: after a restart nobody is
	// told twice.
	Save  func([]byte) error
	Saved []byte
}

// Escalator tells people of monitors that stay unhealthy, once for each cause, and when it is over.
type Escalator struct {
	opt EscalatorOptions

	work sync.WaitGroup // of the couriers

	mu       sync.Mutex // guards what follows
	open     map[string]*Alert
	couriers []*courier
	life     context.Context // of the couriers; nil before Run
	percent  int             // see IsCommon
	gather   time.Duration
	sent     map[string]time.Time // when an open alert was sent last
}

const (
	defaultGather = time.Minute
	// lookEach is how often monitors are looked at, and resendEach how often an alert that lasts is told again
	// (Alertmanager takes one that is not told for five minutes for over).
	lookEach   = 10 * time.Second
	resendEach = 2 * time.Minute
	sendTime   = 30 * time.Second
)

// NewEscalator returns an escalator that begins with what was saved.
func NewEscalator(o EscalatorOptions) (*Escalator, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Ready == nil {
		o.Ready = func(MonitorState) bool { return true }
	}
	if o.Tried == nil {
		o.Tried = func(Alert) []string { return nil }
	}
	if o.Told == nil {
		o.Told = func(Alert, Sink) {}
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	if o.Active == nil {
		o.Active = func(string) string { return "" }
	}
	e := &Escalator{opt: o, open: make(map[string]*Alert), sent: make(map[string]time.Time)}
	e.Use(o.Sinks, o.Common, o.Gather)
	if len(o.Saved) == 0 {
		return e, nil
	}
	var saved []Alert
	if err := json.Unmarshal(o.Saved, &saved); err != nil {
		return e, fmt.Errorf("alerts that were open: %w", err)
	}
	for _, a := range saved {
		e.open[a.Cause] = &a
		e.sent[a.Cause] = o.Now()
	}
	return e, nil
}

// Use puts other sinks in place, and other values of the options Common and Gather. What the sinks before have not
// taken goes to those in their places.
func (e *Escalator) Use(sinks []Sink, common int, gather time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.percent, e.gather = common, cmp.Or(gather, defaultGather)
	kept := min(len(sinks), len(e.couriers))
	for _, c := range e.couriers[kept:] {
		c.end()
	}
	e.couriers = e.couriers[:kept:kept]
	for i, c := range e.couriers {
		c.use(sinks[i])
	}
	for _, sink := range sinks[kept:] {
		c := newCourier(sink, e.opt)
		e.couriers = append(e.couriers, c)
		e.start(c)
	}
}

// start has a courier go to work, if the escalator runs. The caller holds mu.
func (e *Escalator) start(c *courier) {
	if e.life != nil {
		e.work.Go(func() { c.run(e.life) })
	}
}

// Open lists the alerts that last.
func (e *Escalator) Open() []Alert {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]Alert, 0, len(e.open))
	for _, cause := range slices.Sorted(maps.Keys(e.open)) {
		all = append(all, *e.open[cause])
	}
	return all
}

// Run looks and tells until the context ends.
func (e *Escalator) Run(ctx context.Context) {
	e.mu.Lock()
	e.life = ctx
	for _, c := range e.couriers {
		e.start(c)
	}
	e.mu.Unlock()
	defer e.work.Wait()
	ticker := time.NewTicker(lookEach)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, a := range e.look() {
			e.tell(e.withBundle(ctx, a))
		}
	}
}

// look compares the open alerts with what monitors say, and returns what is to be told.
func (e *Escalator) look() (tell []Alert) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.opt.Now()
	all := e.opt.Monitors()
	if all == nil {
		return nil
	}
	tell = e.close(all, now)
	changed := len(tell) > 0
	covered := make(map[string]bool)
	for _, a := range e.open {
		for _, id := range a.Monitors {
			covered[id] = true
		}
	}
	for _, m := range all {
		since, bad := badSince(m)
		if m.Value != Unavailable && Outdated(m, e.opt.Active) {
			bad = false
		}
		if !bad || now.Sub(since) < e.gather || covered[m.ID()] || !e.opt.Ready(m) {
			continue
		}
		e.cover(m, all, now)
		changed = true
	}
	if changed {
		e.save()
	}
	for cause, a := range e.open {
		if last, ok := e.sent[cause]; !ok || now.Sub(last) >= resendEach {
			e.sent[cause] = now
			told := *a
			told.Again = ok
			tell = append(tell, told)
		}
	}
	slices.SortFunc(tell, func(a, b Alert) int { return cmp.Compare(a.Cause, b.Cause) })
	return tell
}

// badSince says whether people have to know about a monitor, and since when. They have to if it is Unhealthy,
// Unavailable, or flaps.
func badSince(m MonitorState) (since time.Time, bad bool) {
	switch {
	case !m.FlapsSince.IsZero() && (m.Value == Degraded || m.Value == Unhealthy):
		return m.FlapsSince, true
	case m.Value == Unhealthy, m.Value == Unavailable:
		return m.LastTransition, true
	}
	return time.Time{}, false
}

// close ends the alerts none of whose monitors fails any more, and returns them. The caller holds mu.
func (e *Escalator) close(all []MonitorState, now time.Time) (ended []Alert) {
	values := make(map[string]AlertValue)
	for _, m := range all {
		values[m.ID()] = m.Value
	}
	anyIs := func(a *Alert, of ...AlertValue) bool {
		return slices.ContainsFunc(a.Monitors, func(id string) bool {
			value, known := values[id]
			return known && slices.Contains(of, value)
		})
	}
	for cause, a := range e.open {
		if anyIs(a, Unhealthy, Unavailable, Degraded) {
			continue
		}
		a.Ended, a.Unwatched = now, anyIs(a, Disabled, Repairing)
		ended = append(ended, *a)
		delete(e.open, cause)
		delete(e.sent, cause)
	}
	return ended
}

// cover puts a monitor under the alert of its cause. The caller holds mu.
func (e *Escalator) cover(m MonitorState, all []MonitorState, now time.Time) {
	dependency, text := None, ""
	if f := m.LastFailure; f != nil {
		dependency, text = f.Dependency, f.Err
	}
	switch {
	case m.Value == Unavailable:
		text = "no results come any more"
	case !m.FlapsSince.IsZero():
		text = "it fails and recovers again and again: " + text
	}
	cause, server := cmp.Or(string(dependency), m.Name), ""
	var servers []string
	if e.isWide(m, dependency, all) {
		if failing, total := FailingWith(m, all, e.opt.Active); !dependency.OfNoServer() &&
			IsCommon(len(failing), total, e.percent) {
			servers = failing
		}
	} else {
		server = ServerOf(m, e.opt.Active)
		cause += " of " + cmp.Or(server, m.Target, "the front end")
	}
	a := e.open[cause]
	if a == nil && server != "" {
		a = e.openOf(server)
	}
	if a == nil {
		a = &Alert{Cause: cause, Dependency: dependency, Mailbox: server, Since: now, Error: text}
		e.open[cause] = a
	}
	if !m.FirstAlert.IsZero() && m.FirstAlert.Before(a.Since) {
		a.Since = m.FirstAlert
	}
	if len(servers) > 0 { // in a list of its own, as Monitors
		a.Servers = slices.Concat(a.Servers, servers)
		slices.Sort(a.Servers)
		a.Servers = slices.Compact(a.Servers)
	}
	// into a list of its own: copies of the alert share the old one
	a.Monitors = append(slices.Clip(a.Monitors), m.ID())
	slices.Sort(a.Monitors)
}

// openOf returns the open alert of a mailbox server, nil if there is none: what fails on that server later joins it,
// whatever it blames. The caller holds mu.
func (e *Escalator) openOf(server string) *Alert {
	for _, a := range e.open {
		if a.Mailbox == server {
			return a
		}
	}
	return nil
}

// isWide says whether a monitor's fault is no single mailbox server's, nor this front end's own. The caller holds mu.
func (e *Escalator) isWide(m MonitorState, d Dependency, all []MonitorState) bool {
	if m.Scope() == ScopeNode {
		return d != None && d != Networking
	}
	failing, total := Together(m, all, e.opt.Active)
	return d.OfNoServer() || IsCommon(failing, total, e.percent)
}

// save keeps what is open. The caller holds mu.
func (e *Escalator) save() {
	if e.opt.Save == nil {
		return
	}
	all := make([]*Alert, 0, len(e.open))
	for _, cause := range slices.Sorted(maps.Keys(e.open)) {
		all = append(all, e.open[cause])
	}
	text, err := json.Marshal(all)
	if err == nil {
		err = e.opt.Save(text)
	}
	if err != nil {
		e.opt.Failed(fmt.Errorf("keep the alerts that are open: %w", err))
	}
}

// Inform tells people of what nobody has to do anything about.
func (e *Escalator) Inform(a Alert) {
	a.Notice = true
	e.tell(a)
}

// tell gives an alert to all couriers.
func (e *Escalator) tell(a Alert) {
	a.Tried = e.opt.Tried(a)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.couriers {
		c.put(a)
	}
}

// withBundle has the bundle of an alert written when that has just begun. An alert goes out without it rather than not
// at all.
func (e *Escalator) withBundle(ctx context.Context, a Alert) Alert {
	if e.opt.Bundle == nil || a.Again || !a.Ended.IsZero() {
		return a
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	where, err := e.opt.Bundle(ctx, a)
	if err != nil {
		e.opt.Failed(fmt.Errorf("diagnostic bundle: %w", err))
		return a
	}
	a.Bundle = where
	e.mu.Lock()
	defer e.mu.Unlock()
	if open := e.open[a.Cause]; open != nil {
		open.Bundle = where
		e.save()
	}
	return a
}
