package recovery

import (
	"context"
	"strings"
	"testing"
	"time"

	"portico/health"
	"portico/health/catalogue"
)

// Who is to blame decides whether anything may be done: for a mailbox server at fault, for a database that fails end
// to end, and for our front end.
func TestBlame(t *testing.T) {
	server, alone, frontEnd := Case{Server: "mbx1", Database: "db1"}, Case{Database: "db1"}, Case{}
	const act, ours = "", "this node is not at fault: "
	for _, cell := range []struct {
		d                       health.Dependency
		server, alone, frontEnd string
	}{
		{health.None, act, act, act},
		{health.Networking, act, act, act},
		{health.InformationStore, act, ours, ours},
		{health.MailboxServerAuthentication, act, ours, ours},
		{health.HighAvailability, "mbx1 is not at fault: ", act, ours},
		{health.Authentication, "mbx1 is not at fault: ", ours, ours},
		{health.ActiveDirectory, "mbx1 is not at fault: ", ours, ours},
		{health.Portico, "an operator has to raise its limits", "an operator has to raise its limits",
			"an operator has to raise its limits"},
	} {
		for of, want := range map[Case]string{server: cell.server, alone: cell.alone, frontEnd: cell.frontEnd} {
			got := of.blameless(&health.Result{Dependency: cell.d})
			if (got == "") != (want == "") || !strings.Contains(got, want) {
				t.Errorf("%+v, when %s is to blame: %q, want %q", of, cell.d, got, want)
			}
			if strings.HasSuffix(want, ": ") && !strings.Contains(got, string(cell.d)) {
				t.Errorf("%q does not name %s", got, cell.d)
			}
		}
	}
	expired := &health.Result{Dependency: health.Networking, Phase: health.PhaseCertificate}
	if got := frontEnd.blameless(expired); !strings.Contains(got, "certificate") {
		t.Errorf("a certificate of our front end: %q", got)
	}
	if got := server.blameless(expired); got != "" {
		t.Errorf("a certificate of a mailbox server: %q", got)
	}
}

// What fails end to end is a mailbox server's fault if that server's own probe fails, or that of the database; not if
// those of others do.
func TestOwnProbes(t *testing.T) {
	for id, want := range map[string]string{ // db7 is on mbx6 beside db6
		"SelfTestMonitor/mbx1": "mbx1", "SelfTestMonitor/mbx2": "", "DeepTestMonitor/db1": "mbx1",
		"DeepTestMonitor/db2": "",
	} {
		w := newWorld(t)
		w.set(health.Unhealthy, health.Networking, "CTPMonitor/db1", id)
		s := snapshot{all: w.monitors, active: func(database string) string { return w.active[database] }, percent: 34}
		if got := s.caseOf(*w.monitor("CTPMonitor/db1")).Server; got != want {
			t.Errorf("when %s fails too, %q is at fault, not %q", id, got, want)
		}
	}
	w := newWorld(t)
	w.set(health.Unhealthy, health.Networking, "CTPMonitor/db6", "DeepTestMonitor/db7")
	s := snapshot{all: w.monitors, active: func(database string) string { return w.active[database] }, percent: 34}
	if got := s.caseOf(*w.monitor("CTPMonitor/db6")).Server; got != "" {
		t.Errorf("when another database of its server fails, %q is at fault", got)
	}
}

// Where the probe cannot be run once more, what the monitor has found decides: nobody acts upon what is not the
// server's.
func TestBlamelessWithoutVerification(t *testing.T) {
	w := newWorld(t)
	w.r.opt.Verify = func(context.Context, health.MonitorState) *health.Result { return nil }
	w.set(health.Unhealthy, health.ActiveDirectory, "SelfTestMonitor/mbx1")
	w.pass(time.Hour)
	w.compare("", "Self/mbx1")
	w.set(health.Healthy, "", "SelfTestMonitor/mbx1")
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx2")
	w.pass(time.Minute)
	w.compare("restart_service mbx2", "")
}

// Slow or waiting commands are a mailbox server's fault if a database that is active there fails too. Databases
// elsewhere do not count.
func TestCommandsOfAServerThatFails(t *testing.T) {
	for id, want := range map[string]string{ // db6 and db7 are active on mbx6
		"SelfTestMonitor/mbx6": "mbx6", "DeepTestMonitor/db6": "mbx6", "DeepTestMonitor/db7": "mbx6",
		"DeepTestMonitor/db1": "", "SelfTestMonitor/mbx1": "",
	} {
		w := newWorld(t)
		w.set(health.Unhealthy, health.Networking, id)
		s := snapshot{all: w.monitors, active: func(database string) string { return w.active[database] }, percent: 34}
		queue := health.Monitor{
			HealthSet: catalogue.SetIMAP, Name: catalogue.RequestsQueuedGt500Monitor, Target: "mbx6"}
		if got := s.caseOf(health.MonitorState{Monitor: queue, Value: health.Unhealthy}).Server; got != want {
			t.Errorf("when %s fails, commands that wait on mbx6 are the fault of %q, want %q", id, got, want)
		}
	}
}
