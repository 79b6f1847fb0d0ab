package health

import (
	"context"
	"strings"
	"time"

	"portico/health/catalogue"
)

// Plan has all probes and monitors of an engine.
type Plan struct {
	Probes   []*Probe
	Monitors []Monitor
}

// Runs makes the Run function of each probe for a target, by the probe's name.
type Runs map[string]func(target string) func(context.Context, *Run) error

// PlanOptions is what a plan is made from, beside the catalogue.
type PlanOptions struct {
	Targets  map[catalogue.Scope][]string // what to look at; the node is added
	Timings  map[string]catalogue.Timing  // by Entry.TimingKey
	Flapping Flapping
	Runs     Runs
}

// NewPlan makes a probe and a monitor for each entry of the catalogue and each target of its scope. A probe without a
// run function, or without timing, is left out.
func NewPlan(o PlanOptions) (p Plan) {
	for _, e := range catalogue.All() {
		targets := o.Targets[e.Scope]
		if e.Scope == catalogue.ScopeNode || e.Whole {
			targets = append([]string{""}, targets...)
		}
		timing := e.Timing
		if e.TimingKey != "" {
			timing = o.Timings[e.TimingKey]
		}
		timing.Interval *= max(time.Duration(e.Slower), 1)
		run := o.Runs[e.Probe]
		if run == nil || timing.Interval == 0 {
			continue
		}
		for _, target := range targets {
			p.add(e, target, timing, o.Flapping, run(target))
		}
	}
	return p
}

// add adds the probe of an entry for a target, and its monitor.
func (p *Plan) add(e catalogue.Entry, target string, timing catalogue.Timing, flapping Flapping,
	run func(context.Context, *Run) error) {
	p.Probes = append(p.Probes, &Probe{
		HealthSet: e.Set, Name: e.Probe, Target: target, Interval: timing.Interval, Timeout: timing.Timeout, Run: run,
		Anywhere: e.Anywhere,
	})
	if e.Monitor == "" {
		return
	}
	m := Monitor{
		HealthSet: e.Set, Name: e.Monitor, Target: target, Probe: e.Probe, Failures: timing.Failures,
		UnhealthyAfter: e.UnhealthyAfter, Component: e.Component, Flapping: flapping, Interval: timing.Interval,
	}
	if !e.MaySleep {
		m.StaleAfter = StaleAfter(timing.Interval, timing.Timeout)
	}
	p.Monitors = append(p.Monitors, m)
}

// CopyTarget returns the target of a database's copy on a mailbox server.
func CopyTarget(database, server string) string { return database + "@" + server }

// CutCopy returns the parts of CopyTarget.
func CutCopy(target string) (database, server string) {
	database, server, _ = strings.Cut(target, "@")
	return database, server
}
