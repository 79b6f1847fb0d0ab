package recovery

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/health"
	"portico/health/catalogue"
)

const usersMonitor = catalogue.ProxyConnectionsFailedGt20PercentMonitor

// watchUsers adds the monitor of users' sign-ins to mbx1.
func (w *world) watchUsers() {
	w.monitors = append(w.monitors, health.MonitorState{Value: health.Healthy, Monitor: health.Monitor{
		HealthSet: catalogue.SetIMAP, Name: usersMonitor, Target: "mbx1"}})
	w.plan.Ladders[usersMonitor] = []Action{Failover, RestartService, Escalate}
	w.r.Use(w.plan)
}

// Users' sign-ins are judged by the last minute. While the latest succeed and the server's own probe does, nothing is
// done, with a copy that stands by or without.
func TestServerThatCameBack(t *testing.T) {
	for _, ready := range []bool{true, false} {
		w := newWorld(t)
		w.watchUsers()
		if ready {
			w.ready("mbx2")
		}
		verify, fails := w.r.opt.Verify, false
		w.r.opt.Verify = func(ctx context.Context, m health.MonitorState) *health.Result {
			if m.Name == catalogue.ImapSelfTestMonitor && !fails {
				return &health.Result{Type: health.Succeeded}
			}
			return verify(ctx, m)
		}
		w.usersWell = true
		w.set(health.Unhealthy, health.Networking, usersMonitor+"/mbx1")
		w.pass(2 * time.Minute)
		w.compare("", "")
		for change, do := range map[string]func(){
			"probe": func() { fails = true },
			"users": func() { w.usersWell = false },
		} {
			w.usersWell, fails, w.did = true, false, nil
			do()
			w.set(health.Unhealthy, health.Networking, usersMonitor+"/mbx1")
			w.active["db1"] = "mbx1"
			w.pass(lookAgain + rescueEach + lookEach)
			if len(w.did) == 0 {
				t.Errorf("ready %v: %s fails, and nothing was done", ready, change)
			}
			w.set(health.Healthy, "", usersMonitor+"/mbx1")
			w.monitor("SelfTestMonitor/mbx1").WellInRow += steadyAfter
			w.pass(10 * time.Minute)
		}
	}
}

// A block that an operator has lifted is gone: nothing says that the server is blocked, at once and later.
func TestBlockLiftedByAnOperator(t *testing.T) {
	w := newWorld(t)
	w.ready("mbx2")
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(lookEach)
	w.compare("failover mbx1", "")
	w.flaps("SelfTestMonitor/mbx1")
	w.pass(time.Minute)
	if w.r.WhyBlocked("mbx1") == "" {
		t.Error("a server that flaps is not held")
	}
	delete(w.blocked, "mbx1")
	if why := w.r.WhyBlocked("mbx1"); why != "" || len(w.r.Ladders()) != 0 {
		t.Errorf("at once: %q, %+v", why, w.r.Ladders())
	}
	w.pass(time.Minute)
	if w.stored() != 0 {
		t.Errorf("later: %+v", w.r.Ladders())
	}
	w.compare("", "")
}

// What does not fail now is well, though it flaps: a database that fails alone moves alone.
func TestOtherDatabaseThatFlaps(t *testing.T) {
	for value, want := range map[health.AlertValue]string{
		health.Degraded: "failover db6", health.UnInitialized: "restart_service mbx6",
		health.Disabled: "restart_service mbx6",
	} {
		w := newWorld(t)
		w.flaps("DeepTestMonitor/db7")
		w.monitor("DeepTestMonitor/db7").Value = value
		w.set(health.Unhealthy, health.InformationStore, "DeepTestMonitor/db6")
		w.pass(lookEach)
		w.compare(want, "")
	}
}

// A throttle sends a ladder to the machine's restart at once only while users are out. Where nobody is, the restart of
// the service that comes too soon is waited for, and people are told if that is long.
func TestNobodyIsOut(t *testing.T) {
	w := newWorld(t)
	w.plan.Throttles[RestartService] = Throttle{Between: 10 * time.Minute, InAnHour: -1, InADay: -1, GroupInADay: -1}
	w.r.Use(w.plan)
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(lookEach)
	w.set(health.Healthy, "", "SelfTestMonitor/mbx1")
	w.pass(time.Minute)
	w.compare("restart_service mbx1", "")
	w.ready("mbx2")
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(time.Minute)
	w.compare("failover mbx1", "Self/mbx1")
	if l := w.r.Ladders()[0]; !strings.Contains(l.Note, "RestartService waits until 2026-01-01T00:10:00Z") {
		t.Errorf("%+v", l)
	}
	w.pass(7 * time.Minute)
	w.compare("", "Self/mbx1")
	w.pass(2 * time.Minute)
	w.compare("restart_service mbx1", "Self/mbx1")
	w.pass(5 * time.Minute)
	w.compare("restart_server mbx1", "Self/mbx1")
}

// Where the service cannot be restarted, the machine is not restarted before Wait is over, unless users are out.
func TestMachineIsNotRestartedAtOnce(t *testing.T) {
	for _, out := range []bool{false, true} {
		w := newWorld(t)
		w.fail[RestartService] = Skipped("no hook is configured")
		if out {
			w.fail[Failover] = Skipped("no copy")
		} else {
			w.ready("mbx2")
		}
		w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
		w.pass(4 * lookEach)
		if got := slices.Contains(w.did, "restart_server mbx1"); got != out {
			t.Errorf("users are out: %v; it did %q", out, w.did)
		}
		if w.did = nil; !out {
			w.pass(w.plan.Wait - 5*lookEach)
			w.compare("", "")
			w.pass(lookAgain)
			w.compare("restart_server mbx1", "")
		}
	}
}

// The server's own monitor may be first to see that it fails now and then. If users' sign-ins did too, ten successes
// in a row are needed all the same; a server that was dead needs one.
func TestSelfTestWinsTheRace(t *testing.T) {
	for _, mixed := range []bool{true, false} {
		w := newWorld(t)
		w.ready("mbx2")
		w.mixed = mixed
		w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
		w.pass(lookEach)
		w.compare("failover mbx1", "")
		w.mixed = false // no user signs in there any more
		w.set(health.Healthy, "", "SelfTestMonitor/mbx1")
		w.monitor("SelfTestMonitor/mbx1").WellInRow = 1
		w.start()
		w.pass(time.Minute)
		if w.blocked["mbx1"] != mixed {
			t.Errorf("mixed %v: blocked: %v", mixed, w.blocked)
		}
		w.monitor("SelfTestMonitor/mbx1").WellInRow = steadyAfter
		w.pass(lookEach)
		w.compare("AllowActivation mbx1", "")
	}
}

// A failover in which databases stayed is no success: the record says which, people hear of it, and the next step is
// done at once.
func TestIncompleteFailover(t *testing.T) {
	w := newWorld(t)
	w.ready("mbx2")
	w.fail[Failover] = Partial("1 of 2 databases stayed: db1 moved to mbx2; db2 kept: no copy")
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(lookEach)
	w.compare("failover mbx1, restart_service mbx1", "")
	if got := w.log(); got != "ServerFailover/mbx1:Incomplete RestartService/mbx1:Succeeded" {
		t.Error(got)
	}
	if r := w.r.Records()[0]; !strings.Contains(r.Message, "db2 kept: no copy") {
		t.Errorf("%+v", r)
	}
	if got := strings.Join(w.helped, " "); got != "ServerFailover/mbx1" {
		t.Errorf("told: %s", got)
	}
	record, err := w.r.ByHand(t.Context(), Failover, Case{Server: "mbx1"}, "operator", false)
	if err != nil || record.Result != ResultIncomplete {
		t.Errorf("%+v: %v", record, err)
	}
}
