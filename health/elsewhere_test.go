package health

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"portico/health/catalogue"
)

// A monitor of other nodes has the state that they report, and is not counted here. A probe that becomes this node's
// again judges anew.
func TestElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of, runs, changes := catalogue.Direct(catalogue.ScopeServer), 0, 0
		id := of.Set + "/" + of.Monitor + "/mbx1"
		e := NewEngine(Options{Changed: func(AlertValue, MonitorState) { changes++ }})
		plan := func(looks bool) Plan {
			p := NewPlan(PlanOptions{
				Targets: map[catalogue.Scope][]string{catalogue.ScopeServer: {"mbx1"}},
				Timings: map[string]catalogue.Timing{of.TimingKey: {Interval: time.Minute, Timeout: time.Second,
					Failures: 2}},
				Runs: Runs{
					of.Probe: func(string) func(context.Context, *Run) error {
						return func(context.Context, *Run) error { runs++; return nil }
					},
					catalogue.RequestsQueuedGt500Check: func(string) func(context.Context, *Run) error {
						return func(context.Context, *Run) error { return nil }
					},
				},
			})
			p.LeaveTo(func(string) bool { return looks })
			return p
		}
		direct := func() MonitorState {
			for _, m := range e.Monitors() {
				if m.Name == of.Monitor {
					return m
				}
			}
			t.Fatal("no monitor")
			return MonitorState{}
		}
		e.Use(plan(false))
		go e.Run(t.Context())
		time.Sleep(time.Hour)
		if m := direct(); runs > 0 || m.Value != UnInitialized || m.Stale {
			t.Errorf("%d runs; %+v", runs, m)
		}
		failure := &Result{Type: Failed, Err: "no answer", Mailbox: "mbx1"}
		changes = 0
		e.Report(map[string]Report{id: {Value: Unhealthy, Since: time.Now(), Failure: failure,
			Nodes: []string{"mx2"}}})
		if m := direct(); m.Value != Unhealthy || m.LastFailure != failure || !m.Failing() || m.Nodes[0] != "mx2" {
			t.Errorf("%+v", m)
		}
		if changes > 0 {
			t.Errorf("%d changes are this node's", changes)
		}
		const own = "portico_monitor_state{IMAP,RequestsQueuedGt500Monitor,mbx1} 0\n" +
			"portico_monitor_state{IMAP,RequestsQueuedGt500Monitor,} 0\n" +
			"portico_probe_duration_seconds{RequestsQueuedGt500Check,mbx1} 0\n" +
			"portico_probe_duration_seconds{RequestsQueuedGt500Check,} 0"
		if got := collected(t, e); got != own {
			t.Errorf("metrics:\n%s", got)
		}
		e.Report(map[string]Report{id: {Value: Healthy, Since: time.Now(), Nodes: []string{"mx2"}}})
		time.Sleep(10*time.Minute + time.Second)
		if m := direct(); m.Value != Healthy || m.WellInRow != 11 || m.LastSuccess.IsZero() {
			t.Errorf("%+v", m)
		}
		e.Use(plan(true))
		if m := direct(); m.Value != UnInitialized || m.Nodes != nil || m.WellInRow > 0 {
			t.Errorf("%+v", m)
		}
		time.Sleep(10 * time.Second)
		if m := direct(); runs != 1 || m.Value != Healthy {
			t.Errorf("%d runs; %+v", runs, m)
		}
	})
}

// Only the nodes that run a monitor's probe open an alert about it, and keep it open.
func TestAlertsAboutOthersMonitors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		es := newEscalators(t)
		own, others := newFakeMonitors(), newFakeMonitors()
		for i := range others.all {
			others.all[i].Elsewhere = true
		}
		a, stopA := es.start(t, "mx1", own)
		defer stopA()
		b, stopB := es.start(t, "mx2", others)
		defer stopB()
		others.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
		time.Sleep(10 * time.Minute)
		es.compare(t)
		own.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
		time.Sleep(10 * time.Minute)
		es.compare(t, "IMAP: Networking of mbx1 is at fault: IMAP.Protocol/ImapSelfTestMonitor/mbx1")
		for _, e := range []*Escalator{a, b} {
			if open := e.Open(); len(open) != 1 || len(open[0].Holders) != 1 || open[0].Holders[0] != "mx1" {
				t.Errorf("open: %+v", open)
			}
		}
		own.set(Healthy, "", "", "SelfTestMonitor/mbx1")
		time.Sleep(time.Minute)
		es.compare(t, "IMAP: Networking of mbx1 is healthy again")
	})
}
