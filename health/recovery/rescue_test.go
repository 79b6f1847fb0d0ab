package recovery

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/health"
	"portico/health/catalogue"
)

// A failover that was not possible is done when a copy is ready, though all steps are over and people were told.
func TestSkippedFailoverComesBack(t *testing.T) {
	w := newWorld(t)
	skip := Skipped("db1 kept: activation on the server is blocked (mbx2)")
	w.fail = map[Action]error{RestartService: Skipped("no hook"), Failover: skip,
		RestartServer: Skipped("db1 is active there")}
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(30 * time.Minute)
	w.compare("restart_service mbx1, failover mbx1, restart_server mbx1", "Self/mbx1")
	w.start() // the next process too
	w.pass(time.Minute)
	w.ready("mbx2")
	w.fail = nil
	w.pass(rescueEach + lookEach)
	w.compare("failover mbx1", "Self/mbx1")
	w.pass(5 * time.Minute)
	w.compare("restart_server mbx1", "Self/mbx1") // nobody's mail is there any more
	want := "RestartService/mbx1:Skipped ServerFailover/mbx1:Skipped ForceReboot/mbx1:Skipped " +
		"ServerFailover/mbx1:Succeeded ForceReboot/mbx1:Succeeded"
	if got := w.log(); got != want {
		t.Errorf("the log has\n%s", got)
	}
	w.set(health.Healthy, "", "SelfTestMonitor/mbx1")
	w.pass(lookEach)
	w.compare("AllowActivation mbx1", "")
}

// A failover that fails is tried again until it succeeds. The log has one record of what failed.
func TestFailedFailoverComesBack(t *testing.T) {
	w := newWorld(t)
	told := 0
	w.r.opt.Recorded = func(Record) { told++ }
	w.ready("mbx2")
	w.fail = map[Action]error{Failover: errors.New("no space left on device")}
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(time.Minute)
	if tries := len(w.did) - 1; tries < 4 || tries > 6 || told != 4 ||
		w.log() != "ServerFailover/mbx1:Failed RestartService/mbx1:Succeeded" {
		t.Errorf("%d tries, %d records: %s", tries, told, w.log())
	}
	if entries, err := w.store.List(t.Context(), storedLog); err != nil || len(entries) != 2 {
		t.Errorf("%d records are stored: %v", len(entries), err)
	}
	w.did, w.fail = nil, nil
	w.pass(rescueEach + lookEach)
	w.compare("failover mbx1", "")
}

// What could be moved was moved; the rest is when its copy is ready.
func TestRestOfAFailover(t *testing.T) {
	w := newWorld(t)
	w.active["db2"] = "mbx1"
	w.ready("mbx2")
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(lookEach)
	w.active["db2"] = "mbx1" // it was kept
	w.sound = nil
	w.pass(20 * time.Minute)
	w.compare("failover mbx1, restart_service mbx1, restart_server mbx1", "Self/mbx1")
	w.ready("mbx2")
	w.pass(rescueEach + lookEach)
	w.compare("failover mbx1", "Self/mbx1")
}

// Users go to a sound copy before the restart that would keep them waiting. Where none stands by the order is that of
// the ladder, and users go as soon as one does.
func TestUsersBeforeRestarts(t *testing.T) {
	w := newWorld(t)
	w.ready("mbx2")
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(2 * lookEach)
	w.compare("failover mbx1, restart_service mbx1", "")
	w.pass(5 * time.Minute)
	w.compare("restart_server mbx1", "")
	w.pass(5 * time.Minute)
	w.compare("", "Self/mbx1")

	w = newWorld(t)
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(time.Minute)
	w.compare("restart_service mbx1", "")
	w.ready("mbx2")
	w.pass(rescueEach + lookEach)
	w.compare("failover mbx1", "")
}

// A copy is ready only if its server is well: it answers, and its own monitor and probe say so. A server that is well
// keeps its users.
func TestNotReady(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"fails":         func(w *world) { w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx2") },
		"has failed":    func(w *world) { w.monitor("SelfTestMonitor/mbx2").InRow = 1 },
		"never seen":    func(w *world) { w.monitor("SelfTestMonitor/mbx2").LastSuccess = time.Time{} },
		"no monitor":    func(w *world) { w.monitor("SelfTestMonitor/mbx2").Name = "Other" },
		"probe fails":   func(w *world) { w.verify = health.Networking },
		"probe hangs":   func(w *world) { w.verify, w.verifyType = health.Networking, health.Timeout },
		"no answer":     func(w *world) { w.sound = nil },
		"source serves": func(w *world) { w.well = true },
		"dry run": func(w *world) {
			w.plan.Mode = DryRun
			w.r.Use(w.plan)
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			w := newWorld(t)
			w.plan.CommonPercent = 90
			w.r.Use(w.plan)
			w.ready("mbx2")
			change(w)
			w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
			w.pass(4 * time.Minute)
			if slices.Contains(w.did, "failover mbx1") {
				t.Errorf("it did %q", w.did)
			}
		})
	}
}

// A process that is killed in a failover that came before its turn is followed by one that does it to its end.
func TestKilledInARescue(t *testing.T) {
	w := newWorld(t)
	w.ready("mbx2")
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.kill = Failover
	w.pass(lookEach)
	w.compare("failover mbx1", "")
	w.kill = ""
	w.start()
	w.pass(2 * lookEach)
	w.compare("failover mbx1, restart_service mbx1", "")
	if got := w.log(); got != "ServerFailover/mbx1:Succeeded RestartService/mbx1:Succeeded" {
		t.Error(got)
	}
}

// A database that fails where it has moved to goes on to a copy that is ready. The block of the
// first server is lifted when that server is well.
func TestFailsThereTooAndGoesOn(t *testing.T) {
	w := newWorld(t)
	w.stuck = true
	w.ready("mbx2", "mbx3")
	w.set(health.Unhealthy, health.InformationStore, "DeepTestMonitor/db1")
	w.pass(lookEach)
	w.compare("failover mbx1", "")
	w.monitor("SelfTestMonitor/mbx1").InRow = 1
	w.set(health.Unhealthy, health.InformationStore, "DeepTestMonitor/db1")
	w.pass(rescueEach + lookEach)
	w.compare("failover db1", "Deep/db1") // db2 is well there
	if w.active["db1"] != "mbx3" {
		t.Errorf("db1 is on %s", w.active["db1"])
	}
	w.set(health.Healthy, "", "DeepTestMonitor/db1")
	w.pass(lookEach)
	w.compare("", "")
	w.set(health.Healthy, "", "SelfTestMonitor/mbx1")
	w.pass(lookEach)
	w.compare("AllowActivation mbx1", "")
}

// A throttle keeps no user out who could be served: the failover is done, and people are told. A runbook may do it
// too.
func TestFailoverBeyondTheThrottle(t *testing.T) {
	w := newWorld(t)
	w.plan.Throttles[Failover] = Throttle{InAnHour: 1, InADay: 1, GroupInADay: 1}
	w.plan.Ladders[catalogue.ImapSelfTestMonitor] = []Action{Failover, Escalate}
	w.r.Use(w.plan)
	var excess []string
	w.r.opt.Helped = func(r Record) { excess = append(excess, r.Excess) }
	const id = "SelfTestMonitor/mbx1"
	for _, told := range []string{"", "Self/mbx1"} {
		w.ready("mbx2")
		w.active["db1"] = "mbx1"
		w.set(health.Unhealthy, health.Networking, id)
		w.pass(lookEach)
		w.compare("failover mbx1", told)
		w.set(health.Healthy, "", id)
		w.pass(time.Minute)
		w.did = nil
	}
	if want := []string{"", "throttled: the limit is 1 in a day, and 1 were made"}; !slices.Equal(excess, want) {
		t.Errorf("beyond the throttle: %q", excess)
	}
	for _, sound := range []bool{false, true} {
		w.sound = nil
		if w.active["db1"] = "mbx1"; sound {
			w.ready("mbx2")
		}
		if _, err := w.r.ByHand(t.Context(), Failover, Case{Server: "mbx1"}, "runbook selftest", true); errors.Is(err,
			ErrThrottled) == sound {
			t.Errorf("with a sound copy %v: %v", sound, err)
		}
	}
	w.set(health.Unhealthy, health.Networking, id) // nobody knows whether the copy is sound: the throttle holds
	w.active["db1"], w.sound, w.did = "mbx1", nil, nil
	w.pass(time.Minute)
	w.compare("", "Self/mbx1")
}

// A cause in common keeps servers from being restarted, but not users from a copy on a server that is known to serve.
func TestCommonCauseWithASoundCopy(t *testing.T) {
	w := newWorld(t)
	w.plan.CommonPercent = 32
	w.r.Use(w.plan)
	w.ready("mbx3")
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1", "SelfTestMonitor/mbx2")
	w.pass(time.Minute)
	w.compare("failover mbx2", "Self/mbx1 Self/mbx2") // db1's other copy is on mbx2
	if l := w.r.Ladders(); len(l) != 2 || !strings.Contains(l[0].Note, "2 of 6 mailbox servers (mbx1, mbx2)") {
		t.Errorf("%+v", l)
	}
	w.pass(time.Hour)
	w.compare("", "Self/mbx1 Self/mbx2")
}

// What was nobody's fault, or everybody's, is not acted upon by what was seen before that was over, nor by its last
// echo.
func TestAfterNobodysFault(t *testing.T) {
	w := newWorld(t)
	const id = "CTPMonitor/db4"
	w.set(health.Unhealthy, health.ActiveDirectory, id)
	w.pass(time.Minute)
	w.compare("", "CTP/db4")
	w.set(health.Unhealthy, health.Networking, id) // the directory is back, and the probe was cut
	w.pass(lookAgain - lookEach)
	w.compare("", "CTP/db4")
	w.pass(2 * lookEach)
	w.compare("protocol_log db4", "CTP/db4") // it is another fault

	w = newWorld(t)
	w.plan.CommonPercent = 32
	w.r.Use(w.plan)
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1", "SelfTestMonitor/mbx2")
	for _, i := range []string{"1", "2"} {
		m := w.monitor("SelfTestMonitor/mbx" + i)
		m.LastResult = &health.Result{Type: health.Failed, Start: w.now, End: w.now}
	}
	w.pass(time.Minute)
	w.set(health.Healthy, "", "SelfTestMonitor/mbx2")
	w.pass(time.Minute)
	w.compare("", "Self/mbx1")
	w.monitor("SelfTestMonitor/mbx1").LastResult = &health.Result{Type: health.Failed, Start: w.now, End: w.now}
	w.pass(lookEach)
	w.compare("restart_service mbx1", "Self/mbx1")
}

// One mail is one record, whatever it was about.
func TestOneRecordForAMail(t *testing.T) {
	w := newWorld(t)
	w.set(health.Unhealthy, health.ActiveDirectory, "CTPMonitor/db1", "CTPMonitor/db2", "ProxyTestMonitor")
	w.pass(lookEach)
	ids := []string{"IMAP/ImapCTPMonitor/db1", "IMAP/ImapCTPMonitor/db2", "IMAP.Proxy/ImapProxyTestMonitor"}
	w.r.Escalated(t.Context(), ids[:2], "ops@example.org")
	w.r.Escalated(t.Context(), ids, "Alertmanager")
	if got := w.log(); got != "Escalate/db1:Succeeded Escalate/ImapProxy:Succeeded" {
		t.Error(got)
	}
	if got := w.r.Records()[0].Message; got != "told: ops@example.org; also of IMAP/ImapCTPMonitor/db2" {
		t.Error(got)
	}
}

// What cannot mend a fault is not said to have helped.
func TestWhatCannotHelp(t *testing.T) {
	w := newWorld(t)
	w.set(health.Unhealthy, health.Networking, "CTPMonitor/db4")
	w.pass(time.Minute)
	w.compare("protocol_log db4", "")
	w.set(health.Healthy, "", "CTPMonitor/db4")
	w.pass(lookEach)
	w.set(health.Unhealthy, health.Networking, "ProxyTestMonitor")
	w.pass(6 * time.Minute)
	w.set(health.Healthy, "", "ProxyTestMonitor")
	w.pass(lookEach)
	if got := strings.Join(w.helped, " "); got != "RestartFrontEnd/ImapProxy" {
		t.Errorf("told: %q", got)
	}
}

// A server that signs in but cannot read mail stays blocked, whatever its own monitor says, until the database that
// was moved away can be read there.
func TestBlockedUntilReadable(t *testing.T) {
	w := newWorld(t)
	w.active["db2"] = "mbx6" // db1 is alone on mbx1
	w.unread = map[string]error{"db1 on mbx1": errors.New("select: no")}
	w.ready("mbx1", "mbx2")
	w.set(health.Unhealthy, health.InformationStore, "DeepTestMonitor/db1")
	w.pass(10 * time.Minute)
	w.compare("failover mbx1", "")
	w.start()
	w.pass(10 * time.Minute)
	w.compare("", "")
	if l := w.r.Ladders(); len(l) != 1 || !strings.Contains(l[0].Note, "until db1 can be read there: select: no") {
		t.Errorf("%+v", l)
	}
	w.unread = nil
	w.pass(lookAgain + lookEach)
	w.compare("AllowActivation mbx1", "")
	if w.stored() != 0 {
		t.Errorf("%+v", w.r.Ladders())
	}
}
