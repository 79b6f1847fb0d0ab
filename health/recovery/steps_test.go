package recovery

import (
	"errors"
	"strings"
	"testing"
	"time"

	"portico/health"
)

// What a restart does not mend is not restarted. Users go where they are well served, and people are told at once.
func TestTheRightStep(t *testing.T) {
	for _, cell := range []struct {
		name, phase string
		d           health.Dependency
		did, told   string
	}{
		{"certificate", health.PhaseCertificate, health.Networking, "failover mbx1", "Self/mbx1"},
		{"name", health.PhaseResolve, health.Networking, "failover mbx1", "Self/mbx1"},
		{"full volume", health.PhaseAppend, health.InformationStore, "failover mbx1", "Self/mbx1"},
		{"its own passdb", "signin", health.MailboxServerAuthentication, "restart_service mbx1, failover mbx1", ""},
	} {
		t.Run(strings.ReplaceAll(cell.name, " ", "_"), func(t *testing.T) {
			w := newWorld(t)
			id := "SelfTestMonitor/mbx1"
			w.set(health.Unhealthy, cell.d, id)
			w.monitor(id).LastFailure.Phase = cell.phase
			w.pass(6 * time.Minute)
			w.compare(cell.did, cell.told)
			w.pass(6 * time.Minute)
			w.compare("", "Self/mbx1")
		})
	}
}

// Databases of one server count as that server, however many they are.
func TestHalfOfTheDatabases(t *testing.T) {
	w := newWorld(t)
	for database := range w.active {
		w.active[database] = "mbx2"
	}
	w.active["db1"], w.active["db2"], w.active["db3"] = "mbx1", "mbx1", "mbx1"
	w.set(health.Unhealthy, health.InformationStore, "DeepTestMonitor/db1", "DeepTestMonitor/db2",
		"DeepTestMonitor/db3")
	w.pass(time.Minute)
	w.compare("restart_service mbx1", "")
	w.pass(5 * time.Minute)
	w.compare("failover mbx1, AllowActivation mbx1", "")
}

// While a database moves it has no active copy. What a probe has found then is over with the move, and nobody is told.
func TestNoActiveCopyForAWhile(t *testing.T) {
	w := newWorld(t)
	w.set(health.Unhealthy, health.HighAvailability, "DeepTestMonitor/db1")
	w.monitor("DeepTestMonitor/db1").LastFailure.Mailbox = ""
	w.pass(time.Minute)
	w.compare("", "")
	w.active["db1"] = ""
	w.pass(time.Minute)
	w.compare("", "Deep/db1")
}

// A common cause takes two mailbox servers at least, and more than the share.
func TestCommonCause(t *testing.T) {
	for _, cell := range []struct {
		percent int
		failing []string
		common  bool
	}{
		{1, []string{"SelfTestMonitor/mbx1"}, false},
		{32, []string{"SelfTestMonitor/mbx1", "SelfTestMonitor/mbx2"}, true},
		{34, []string{"SelfTestMonitor/mbx1", "SelfTestMonitor/mbx2"}, false},
		{50, []string{"SelfTestMonitor/mbx1", "SelfTestMonitor/mbx2", "SelfTestMonitor/mbx3"}, false},
		{49, []string{"SelfTestMonitor/mbx1", "SelfTestMonitor/mbx2", "SelfTestMonitor/mbx3"}, true},
	} {
		w := newWorld(t)
		w.plan.CommonPercent = cell.percent
		w.r.Use(w.plan)
		w.set(health.Unhealthy, health.Networking, cell.failing...)
		w.pass(time.Minute)
		if acted := len(w.did) > 0; acted == cell.common {
			t.Errorf("%d of 6 fail, and the share is %d %%: it did %q", len(cell.failing), cell.percent, w.did)
		}
	}
}

// A database alone leaves its server, and the others, alone.
func TestOneDatabase(t *testing.T) {
	w := newWorld(t)
	w.active["db2"] = "mbx1"
	w.set(health.Unhealthy, health.InformationStore, "DeepTestMonitor/db1", "CTPMonitor/db1")
	w.pass(time.Hour)
	w.compare("failover db1", "")
	if got := w.log(); got != "RestartService/mbx1:Skipped ServerFailover/db1:Succeeded" || w.active["db2"] != "mbx1" {
		t.Error(got)
	}
}

// A database that fails after its move too is for people.
func TestFailsThereToo(t *testing.T) {
	w := newWorld(t)
	w.stuck = true
	w.set(health.Unhealthy, health.InformationStore, "DeepTestMonitor/db1")
	w.pass(11 * time.Minute)
	w.compare("restart_service mbx1, failover mbx1", "") // how it is on the other copy is not known yet
	w.set(health.Unhealthy, health.InformationStore, "DeepTestMonitor/db1")
	ladder := w.r.ladders["IMAP.Protocol/ImapDeepTestMonitor/db1"]
	if ladder == nil || ladder.Server != "mbx1" || w.active["db1"] != "mbx2" {
		t.Fatalf("%+v", ladder)
	}
	w.pass(time.Hour)
	w.compare("", "Deep/db1")
}

// Our own front end: its listeners opened again, then out of service, and back when it is well.
func TestFrontEnd(t *testing.T) {
	w := newWorld(t)
	w.set(health.Unhealthy, health.Networking, "ProxyTestMonitor", "CTPMonitor/db1")
	w.pass(time.Minute)
	w.compare("restart_front_end ImapProxy", "")
	w.pass(5 * time.Minute)
	w.compare("out_of_service ImapProxy", "")
	w.pass(6 * time.Minute)
	w.compare("", "CTP/db1 Proxy/")
	w.set(health.Healthy, "", "ProxyTestMonitor", "CTPMonitor/db1")
	w.undoFail = errors.New("the disk is full")
	w.pass(time.Minute)
	w.undoFail = nil
	w.pass(time.Minute)
	if n := len(w.did); n != int(time.Minute/lookEach)+1 || strings.Count(w.log(), "BringComponentOnline") != 2 {
		t.Errorf("it was tried %d times: %s", n, w.log())
	}
}

// What fails end to end alone, though server and database are well: the protocol log tells more.
func TestCTPAlone(t *testing.T) {
	w := newWorld(t)
	w.set(health.Unhealthy, health.Authentication, "CTPMonitor/db1")
	w.pass(time.Minute)
	w.compare("", "CTP/db1")
	w = newWorld(t)
	w.set(health.Unhealthy, health.Networking, "CTPMonitor/db1")
	w.pass(time.Minute)
	w.compare("protocol_log db1", "")
	w.pass(5 * time.Minute)
	w.compare("restart_front_end ImapProxy", "")
	w.pass(5 * time.Minute)
	w.compare("", "CTP/db1")
	w.set(health.Healthy, "", "CTPMonitor/db1")
	w.pass(time.Minute)
	w.compare("DisableProtocolLog db1", "")
}
