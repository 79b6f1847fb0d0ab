package health

import (
	"context"
	"slices"
	"testing"
	"time"

	"portico/health/catalogue"
)

// TestNewPlan: each entry of the catalogue becomes a probe and a monitor for each target of its scope.
func TestNewPlan(t *testing.T) {
	o := PlanOptions{
		Targets: map[catalogue.Scope][]string{
			catalogue.ScopeServer: {"mbx1", "mbx2"}, catalogue.ScopeDatabase: {"db1"},
			catalogue.ScopeCopy: {CopyTarget("db1", "mbx2")},
		},
		Timings: make(map[string]catalogue.Timing), Runs: make(Runs),
	}
	ran := make(map[string][]string)
	for _, e := range catalogue.All() {
		if e.TimingKey != "" {
			o.Timings[e.TimingKey] = catalogue.Timing{Interval: time.Minute, Timeout: time.Second, Failures: 3}
		}
		o.Runs[e.Probe] = func(target string) func(context.Context, *Run) error {
			ran[e.Probe] = append(ran[e.Probe], target)
			return func(context.Context, *Run) error { return nil }
		}
	}
	plan := NewPlan(o)
	probes, monitors := make(map[string]*Probe), make(map[string]Monitor)
	for _, p := range plan.Probes {
		probes[p.ID()] = p
	}
	for _, m := range plan.Monitors {
		monitors[m.ID()] = m
	}
	for _, e := range catalogue.All() {
		targets := map[catalogue.Scope][]string{
			catalogue.ScopeNode: {""}, catalogue.ScopeServer: {"mbx1", "mbx2"}, catalogue.ScopeDatabase: {"db1"},
			catalogue.ScopeCopy: {"db1@mbx2"},
		}[e.Scope]
		if e.Whole {
			targets = append([]string{""}, targets...)
		}
		if !slices.Equal(ran[e.Probe], targets) {
			t.Errorf("%s is made for %q, want %q", e.Probe, ran[e.Probe], targets)
		}
		for _, target := range targets {
			if p := probes[e.Set+"/"+nameOf(e.Probe, target)]; p == nil || p.Run == nil || p.Interval == 0 ||
				p.Timeout == 0 || p.Anywhere != e.Anywhere {
				t.Errorf("the probe %s of %q is %+v", e.Probe, target, p)
			}
			m, ok := monitors[e.Set+"/"+nameOf(e.Monitor, target)]
			if ok != (e.Monitor != "") {
				t.Errorf("monitor %s of %q: %v", e.Monitor, target, ok)
			}
			if ok && (m.Probe != e.Probe || m.Failures == 0 || (m.StaleAfter == 0) != e.MaySleep ||
				m.Component != e.Component || m.UnhealthyAfter != e.UnhealthyAfter) {
				t.Errorf("the monitor %s of %q is %+v", e.Monitor, target, m)
			}
		}
	}
	copied := probes[catalogue.SetProtocol+"/"+nameOf(catalogue.ImapCopyTestProbe, "db1@mbx2")]
	if copied == nil || copied.Interval != 10*time.Minute {
		t.Errorf("the probe of a copy is %+v, want a tenth of the pace", copied)
	}
}

// TestPlanLeavesOut: what has no run function or no timing is not in the plan.
func TestPlanLeavesOut(t *testing.T) {
	run := func(string) func(context.Context, *Run) error { return nil }
	plan := NewPlan(PlanOptions{
		Targets: map[catalogue.Scope][]string{catalogue.ScopeServer: {"mbx1"}, catalogue.ScopeDatabase: {"db1"}},
		Runs:    Runs{catalogue.ImapSelfTestProbe: run, catalogue.DatabaseCopyStatusCheck: run},
	})
	if len(plan.Probes) != 1 || len(plan.Monitors) != 1 ||
		plan.Monitors[0].Name != catalogue.DatabaseCopyStatusMonitor {
		t.Errorf("the plan is %+v", plan)
	}
}
