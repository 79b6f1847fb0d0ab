package witness

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"portico/health"
)

// failing are the states in which a monitor sees its target failing, by name.
var failing = map[string]health.AlertValue{
	health.Degraded.String(): health.Degraded, health.Unhealthy.String(): health.Unhealthy,
	health.Unavailable.String(): health.Unavailable,
}

// sight is what a node sees of a monitor's target.
type sight struct {
	node  string
	value health.AlertValue
	fault fault
}

// sights are what the present nodes that look at a monitor's target see, but for this one, from the best to the worst.
// Those that do not tell are left out; waiting are those of them that will know soon. The caller holds mu.
func (w *Witness) sights(m health.MonitorState, present map[string]bool) (all []sight, waiting []string) {
	looking := w.lookers[m.Target]
	if isCheck(m) {
		looking = slices.Collect(maps.Keys(w.said))
	}
	for _, node := range looking {
		if node == w.opt.Node || !present[node] {
			continue
		}
		said := w.said[node]
		f, named := said.byMonitor[m.ID()]
		value, fails := failing[f.Value]
		if !named {
			value = health.Healthy
		}
		if named && f.Value == health.UnInitialized.String() && !isCheck(m) { // a check may have nothing to look at
			waiting = append(waiting, node)
		}
		if named && !fails || !named && said.More > 0 {
			continue
		}
		all = append(all, sight{node, value, f})
	}
	slices.SortFunc(all, func(a, b sight) int {
		return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.node, b.node))
	})
	return all, waiting
}

// Against names the nodes that do not see the target of an unhealthy monitor failing, unless most of the nodes that
// look at it do.
func (w *Witness) Against(m health.MonitorState) (nodes []string) {
	present := setOf(w.opt.Present()) // one may have come since the last look
	w.mu.Lock()
	defer w.mu.Unlock()
	fail := 0
	if !m.Elsewhere {
		fail = 1
	}
	all, nodes := w.sights(m, present)
	for node := range present {
		if node != w.opt.Node && w.isNew(node, m) {
			nodes = append(nodes, node)
		}
	}
	for _, s := range all {
		if s.value == health.Healthy {
			nodes = append(nodes, s.node)
		} else {
			fail++
		}
	}
	if fail > len(nodes) {
		return nil
	}
	slices.Sort(nodes)
	return nodes
}

// isNew says whether a node has yet to say that it looks at a monitor's target, as it should: it has just started, or
// another one has gone. The caller holds mu.
func (w *Witness) isNew(node string, m health.MonitorState) bool {
	said := w.said[node]
	if said == nil || isCheck(m) || m.Target == "" {
		return said == nil
	}
	_, tells := slices.BinarySearch(said.Targets, m.Target)
	return !tells && len(said.Targets) < maxTargets && looks(node, m.Target, w.nodes)
}

// Unreadable says whether most of the nodes that look at a copy of a database cannot read its mail. own is what this
// node finds. others are those that do not say so; a node that has just started is one of them.
func (w *Witness) Unreadable(target string, own bool) (most bool, others []string) {
	present := w.opt.Present()
	w.mu.Lock()
	defer w.mu.Unlock()
	fail, read := 0, 1
	if own {
		fail, read = 1, 0
	}
	for _, node := range present {
		said := w.said[node]
		switch {
		case node == w.opt.Node:
		case said == nil: // it has just started
			others = append(others, node)
		case !looks(node, target, present):
		case slices.Contains(said.Copies, target):
			fail++
		default:
			others = append(others, node)
		}
	}
	slices.Sort(others)
	return fail > read+len(others), others
}

// reports are what other nodes find out about the monitors that they look after for this one: the state that most of
// them agree on, at least. The caller holds mu.
func (w *Witness) reports(all []health.MonitorState, now time.Time) map[string]health.Report {
	reports, present := make(map[string]health.Report), setOf(w.present)
	for _, m := range all {
		if !m.Elsewhere {
			continue
		}
		sights, _ := w.sights(m, present)
		if len(sights) == 0 {
			continue
		}
		middle := sights[(len(sights)-1)/2]
		report := health.Report{Value: middle.value, Since: now}
		for _, s := range sights {
			report.Nodes = append(report.Nodes, s.node)
		}
		slices.Sort(report.Nodes)
		before, known := w.reported[m.ID()]
		if known && before.Value == report.Value {
			report.Since = before.Since
		}
		if middle.value != health.Healthy {
			report.Failure = failure(m, middle.fault, before.Failure, now)
		}
		reports[m.ID()] = report
	}
	w.reported = reports
	return reports
}

// failure is a fault as a result of this node's time, the one before if it is the same.
func failure(m health.MonitorState, f fault, before *health.Result, now time.Time) *health.Result {
	if before != nil && before.Err == f.Error && string(before.Dependency) == f.Dependency &&
		before.Phase == f.Phase && before.Mailbox == f.Mailbox {
		return before
	}
	return &health.Result{HealthSet: m.HealthSet, Probe: m.Probe, Target: m.Target, Type: health.Failed, Start: now,
		End: now, Err: f.Error, Dependency: health.Dependency(f.Dependency), Phase: f.Phase, Mailbox: f.Mailbox}
}
