package health

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"portico/configs/store"
)

// EscalatorOptions of an Escalator.
type EscalatorOptions struct {
	// nil: nothing is said at present, neither that something is at fault nor that it is over
	Monitors func() []MonitorState
	// Ready says whether people may be told about a monitor yet: recovery may be at work. Default: yes.
	Ready func(m MonitorState) bool
	// Active says on which mailbox server a database is active, "" if on none. Default: on none.
	Active func(database string) (server string)
	Sinks  []Sink
	// Tried lists what recovery has done about an alert, a line for each step; nil: nothing is known of that.
	Tried func(a Alert) []string
	// Sent is called when a sink has taken an alert for the first time. It may be nil. It may block: only that sink
	// waits.
	Sent   func(a Alert, by Sink)
	Common int // in a hundred; see IsCommon
	// how long a monitor has to be at fault before somebody is told: what has turned others too is told with them;
	// default a minute
	Gather time.Duration
	Now    func() time.Time // default time.Now
	Failed func(error)      // called for a sink that fails
	// Bundle writes down what is known when an alert begins, and says where; nil: nobody does.
	Bundle func(ctx context.Context, a Alert) (where string, err error)
	// Stored keeps the alerts that are open: after a restart, or of an alert that another writer has opened, nobody is
	// told twice. Nil: they end with the process.
	Stored *store.One[[]Alert]
	Node   string // this node's name; no other writer of Stored has it
	// Nodes lists the other nodes that may write Stored. An alert that only other writers hold open ends. Nil: every
	// writer counts.
	Nodes func() []string
}

// Escalator sends alerts about monitors that stay unhealthy, one for each cause, and their end.
type Escalator struct {
	opt EscalatorOptions

	work sync.WaitGroup // of the couriers

	mu       sync.Mutex // guards what follows
	open     map[string]*Alert
	couriers []*sender
	life     context.Context // of the couriers; nil before Run
	percent  int             // see IsCommon
	gather   time.Duration
	sent     map[string]time.Time // when an open alert was sent last
	named    map[string]lasting   // by the identities of monitors that are at fault
	store    openAlerts
}

const (
	defaultGather = time.Minute
	// lookEach is how often monitors are looked at, and resendEach how often an alert that lasts is told again
	// (Alertmanager takes one that is not told for five minutes for over).
	lookEach   = 10 * time.Second
	resendEach = 2 * time.Minute
	sendTime   = 30 * time.Second
)

// NewEscalator returns an escalator with the alerts that are stored. An error with an escalator says that they cannot
// be read: it begins without them.
func NewEscalator(ctx context.Context, o EscalatorOptions) (*Escalator, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Ready == nil {
		o.Ready = func(MonitorState) bool { return true }
	}
	if o.Tried == nil {
		o.Tried = func(Alert) []string { return nil }
	}
	if o.Sent == nil {
		o.Sent = func(Alert, Sink) {}
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	if o.Active == nil {
		o.Active = func(string) string { return "" }
	}
	e := &Escalator{opt: o, open: make(map[string]*Alert), sent: make(map[string]time.Time),
		named: make(map[string]lasting), store: openAlerts{one: o.Stored}}
	e.Use(o.Sinks, o.Common, o.Gather)
	item, _, err := e.store.read(ctx)
	if err != nil {
		return nil, err
	}
	if item.Err != nil {
		return e, fmt.Errorf("read the open alerts: %w", item.Err)
	}
	e.take(item.Value)
	for _, a := range e.open {
		if len(a.Holders) == 0 { // an earlier version of this node has stored it
			a.Holders = []string{o.Node}
		}
	}
	return e, nil
}

// Use replaces the sinks, and the options Common and Gather. Alerts that the old sinks have not accepted go to the new
// ones.
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
		c := newSender(sink, e.opt)
		e.couriers = append(e.couriers, c)
		e.start(c)
	}
}

// start runs a sender, if the escalator runs. The caller holds mu.
func (e *Escalator) start(c *sender) {
	if e.life != nil {
		e.work.Go(func() { c.run(e.life) })
	}
}

// Open lists the open alerts.
func (e *Escalator) Open() []Alert {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]Alert, 0, len(e.open))
	for _, cause := range slices.Sorted(maps.Keys(e.open)) {
		all = append(all, *e.open[cause])
	}
	return all
}

// Run looks at the monitors and sends alerts until ctx ends.
func (e *Escalator) Run(ctx context.Context) {
	e.mu.Lock()
	e.life = ctx
	for _, c := range e.couriers {
		e.start(c)
	}
	e.mu.Unlock()
	defer e.work.Wait()
	e.work.Go(func() { e.follow(ctx) })
	ticker := time.NewTicker(lookEach)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, a := range e.look(ctx) {
			e.tell(e.withBundle(ctx, a))
		}
	}
}

// look compares the open alerts with the monitors, and returns the alerts to send. What another writer stores first
// holds: its alerts are taken in, and it sends them.
func (e *Escalator) look(ctx context.Context) (tell []Alert) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.opt.Now()
	all := e.opt.Monitors()
	if all == nil {
		return nil
	}
	for range triesToStore {
		before := e.snapshot()
		ended, changed := e.judge(all, now)
		if changed && !e.save(ctx, before) {
			continue
		}
		tell = append(ended, e.due(now)...)
		slices.SortFunc(tell, func(a, b Alert) int { return cmp.Compare(a.Cause, b.Cause) })
		return tell
	}
	return nil
}

// judge opens, changes and ends alerts by the monitors, and returns those that have ended. The caller holds mu.
func (e *Escalator) judge(all []MonitorState, now time.Time) (ended []Alert, changed bool) {
	ended, changed = e.close(all, now)
	for _, m := range all {
		since, bad := badSince(m)
		if m.Elsewhere || m.Value != Unavailable && Outdated(m, e.opt.Active) {
			bad = false
		}
		if !bad {
			delete(e.named, m.ID())
			continue
		}
		fault, lasts := e.name(m, now)
		covered, known := e.covers(m, fault)
		if !e.opt.Ready(m) || !covered && now.Sub(since) < e.gather || covered && (known || !lasts) {
			continue
		}
		a, joined := e.joinAlert(m, fault, all, now)
		if worse := lasts && a.worse(m, fault); worse {
			e.worsen(a, m, fault, all)
			changed = true
		}
		held := a.hold(e.opt.Node)
		changed = changed || joined || held
	}
	return ended, changed
}

// due returns the open alerts that are to be sent now, for the first time or again. The caller holds mu.
func (e *Escalator) due(now time.Time) (tell []Alert) {
	for cause, a := range e.open {
		if last, ok := e.sent[cause]; !ok || now.Sub(last) >= resendEach {
			e.sent[cause] = now
			told := *a
			told.Again = ok
			tell = append(tell, told)
		}
	}
	return tell
}

// badSince says whether a monitor needs an alert, and since when: it is Unhealthy, Unavailable, or flaps.
func badSince(m MonitorState) (since time.Time, bad bool) {
	switch {
	case !m.FlapsSince.IsZero() && (m.Value == Degraded || m.Value == Unhealthy):
		return m.FlapsSince, true
	case m.Value == Unhealthy, m.Value == Unavailable:
		return m.LastTransition, true
	}
	return time.Time{}, false
}

// close ends the alerts that nobody holds open, and returns them. It says whether it has changed any. The caller holds
// mu.
func (e *Escalator) close(all []MonitorState, now time.Time) (ended []Alert, changed bool) {
	for cause, a := range e.open {
		kept := slices.ContainsFunc(all, func(m MonitorState) bool { return e.keeps(a, m) })
		if kept {
			held := e.sees(a, all) && a.hold(e.opt.Node)
			changed = changed || held
			continue
		}
		released := a.release(e.opt.Node)
		if !released && len(a.Holders) == 0 || slices.ContainsFunc(a.Holders, e.counts) {
			changed = changed || released
			continue
		}
		a.Ended = now
		a.Unwatched = slices.ContainsFunc(all, func(m MonitorState) bool {
			return slices.Contains(a.Monitors, m.ID()) && (m.Value == Disabled || m.Value == Repairing)
		})
		ended = append(ended, *a)
		delete(e.open, cause)
	}
	return ended, changed || len(ended) > 0
}

// keeps says whether a monitor keeps an alert open. The alert's own monitors must be healthy before it ends; one
// without a result since the start still keeps it. A monitor of a database that has moved away does not count for the
// alert's mailbox server, but every monitor that fails there does. The nodes that run a monitor's probe keep its alert,
// the others do not. The caller holds mu.
func (e *Escalator) keeps(a *Alert, m MonitorState) bool {
	if m.Elsewhere || m.Value != Unavailable && Outdated(m, e.opt.Active) ||
		a.Mailbox != "" && ServerOf(m, e.opt.Active) != a.Mailbox {
		return false
	}
	if slices.Contains(a.Monitors, m.ID()) {
		return slices.Contains([]AlertValue{Unhealthy, Unavailable, Degraded, UnInitialized}, m.Value)
	}
	_, bad := badSince(m)
	return bad && a.Mailbox != ""
}

// Inform sends a notice: an alert that needs no action.
func (e *Escalator) Inform(a Alert) {
	a.Notice = true
	e.tell(a)
}

// tell gives an alert to all senders.
func (e *Escalator) tell(a Alert) {
	a.Tried = e.opt.Tried(a)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.couriers {
		c.put(a)
	}
}

// withBundle writes the diagnostic bundle of a new alert. If that fails, the alert is sent without it.
func (e *Escalator) withBundle(ctx context.Context, a Alert) Alert {
	if e.opt.Bundle == nil || a.Again || !a.Ended.IsZero() {
		return a
	}
	bounded, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	where, err := e.opt.Bundle(bounded, a)
	if err != nil {
		e.opt.Failed(fmt.Errorf("diagnostic bundle: %w", err))
		return a
	}
	a.Bundle = where
	e.mu.Lock()
	defer e.mu.Unlock()
	for range triesToStore {
		open := e.open[a.Cause]
		if open == nil {
			break
		}
		before := e.snapshot()
		if open.Bundle = where; e.save(ctx, before) {
			break
		}
	}
	return a
}
