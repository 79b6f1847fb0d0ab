package health

import (
	"strings"
	"testing"

	"portico/health/catalogue"
)

// A mailbox server is concerned by its own monitors, by those of databases that are active there, and by those that
// fail there still.
func TestMonitorsOfAServer(t *testing.T) {
	active := func(database string) string { return map[string]string{"db1": "mbx1", "db2": "mbx2"}[database] }
	of := func(name, target string) Monitor {
		return Monitor{HealthSet: catalogue.SetProtocol, Name: name, Target: target, Failures: 2}
	}
	for _, c := range []struct {
		name string
		m    MonitorState
		mbx1 bool
		mbx2 bool
	}{
		{"of the server",
			MonitorState{Monitor: of(catalogue.ImapSelfTestMonitor, "mbx1"), Value: Healthy}, true, false},
		{"of an active database",
			MonitorState{Monitor: of(catalogue.ImapDeepTestMonitor, "db2"), Value: Healthy}, false, true},
		{"of a customer touch point",
			MonitorState{Monitor: of(catalogue.ImapCTPMonitor, "db1"), Value: Healthy}, true, false},
		{"of a database that failed there and has moved", MonitorState{
			Monitor: of(catalogue.ImapDeepTestMonitor, "db1"), Value: Unhealthy, LastFailure: &Result{Mailbox: "mbx2"},
		}, true, true},
		{"of a database that failed there once", MonitorState{
			Monitor: of(catalogue.ImapDeepTestMonitor, "db1"), Value: Healthy, LastFailure: &Result{Mailbox: "mbx2"},
		}, true, false},
		{"of a database that is active nowhere",
			MonitorState{Monitor: of(catalogue.ImapDeepTestMonitor, "db3"), Value: Healthy},
			false, false},
		{"of the node", MonitorState{Monitor: of(catalogue.ImapProxyTestMonitor, ""), Value: Healthy}, false, false},
	} {
		if one, two := Concerns(c.m, "mbx1", active), Concerns(c.m, "mbx2", active); one != c.mbx1 || two != c.mbx2 {
			t.Errorf("a monitor %s concerns mbx1: %v, mbx2: %v", c.name, one, two)
		}
	}
}

// Probes concern the server that is their target, that has the copy, or where their database is active.
func TestProbesOfAServer(t *testing.T) {
	active := func(database string) string { return map[string]string{"db1": "mbx1", "db2": "mbx2"}[database] }
	for target, want := range map[string]bool{"mbx1": true, "mbx2": false, "db1": true, "db2": false, "db2@mbx1": true,
		"db1@mbx2": false, "": false} {
		name := catalogue.ImapDeepTestProbe
		if strings.Contains(target, "@") {
			name = catalogue.ImapCopyTestProbe
		}
		if got := (ProbeState{Probe: &Probe{Name: name, Target: target}}).Concerns("mbx1", active); got != want {
			t.Errorf("a probe of %q concerns mbx1: %v", target, got)
		}
	}
}
