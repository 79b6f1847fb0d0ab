package recovery

import (
	"strings"
	"testing"
	"time"

	"portico/health"
	"portico/health/catalogue"
)

// A step that comes too soon keeps nobody waiting: the next one is done at once, and this one when it is due.
func TestTooSoon(t *testing.T) {
	w := newWorld(t)
	w.plan.Throttles[RestartService] = Throttle{GroupBetween: 2 * time.Minute, InAnHour: -1, InADay: -1,
		GroupInADay: -1}
	w.r.Use(w.plan)
	if _, err := w.r.ByHand(t.Context(), RestartService, Case{Server: "mbx2"}, "operator", false); err != nil {
		t.Fatal(err)
	}
	w.did = nil
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(lookEach)
	w.compare("failover mbx1", "")
	w.pass(5 * time.Minute)
	w.compare("restart_service mbx1", "")
	w.pass(5 * time.Minute)
	w.compare("restart_server mbx1", "")
	w.pass(5 * time.Minute)
	w.compare("", "Self/mbx1")
	if got := strings.Count(w.log(), "Throttled"); got != 1 {
		t.Error(w.log())
	}
}

// newWorldTooSoon returns a world in which mbx1 fails again just after its service, for 20 minutes, and its machine,
// for a time, have been restarted by hand: both steps come too soon.
func newWorldTooSoon(t *testing.T, machine time.Duration) *world {
	t.Helper()
	w := newWorld(t)
	w.plan.Throttles[RestartService] = Throttle{Between: 20 * time.Minute, InAnHour: -1, InADay: -1, GroupInADay: -1}
	w.plan.Throttles[RestartServer] = Throttle{Between: machine, InAnHour: -1, InADay: -1, GroupInADay: -1}
	w.plan.Ladders[catalogue.ImapSelfTestMonitor] = []Action{RestartService, RestartServer, Escalate}
	w.r.Use(w.plan)
	for _, action := range []Action{RestartService, RestartServer} {
		if _, err := w.r.ByHand(t.Context(), action, Case{Server: "mbx1"}, "operator", false); err != nil {
			t.Fatal(err)
		}
	}
	w.did = nil
	w.now = w.now.Add(time.Second)
	w.set(health.Healthy, "", "SelfTestMonitor/mbx1") // it is back
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	return w
}

// Where all steps come too soon, people know at once. Steps that are due within the hour are done then, and people are
// not told the same twice.
func TestAllTooSoon(t *testing.T) {
	w := newWorldTooSoon(t, 6*time.Hour)
	w.pass(lookEach)
	w.compare("", "Self/mbx1")
	w.pass(19 * time.Minute)
	w.compare("", "Self/mbx1")
	w.start() // what is due is in the store
	w.pass(time.Minute)
	w.compare("restart_service mbx1", "Self/mbx1")
	w.pass(5 * time.Hour)
	w.compare("", "Self/mbx1")
}

// Of steps that came too soon the first is done first, and those behind it come with it.
func TestTheFirstThatWasTooSoon(t *testing.T) {
	w := newWorldTooSoon(t, 50*time.Minute)
	w.pass(21 * time.Minute)
	w.compare("restart_service mbx1", "Self/mbx1")
	w.pass(30 * time.Minute)
	w.compare("restart_server mbx1", "Self/mbx1")
}
