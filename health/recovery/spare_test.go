package recovery

import (
	"errors"
	"strings"
	"testing"
	"time"

	"portico/health"
	"portico/health/catalogue"
)

// flapped makes a site where mbx1 flaps and is well again, so that it stays blocked, and db1 is active on mbx2.
func flapped(t *testing.T) *world {
	w := newWorld(t)
	w.homing = true
	w.ready("mbx1", "mbx2")
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(lookEach)
	w.compare("failover mbx1", "")
	w.flaps("SelfTestMonitor/mbx1")
	w.pass(time.Minute)
	w.compare("", "")
	return w
}

// A server that stays blocked only since it flaps is better than none: when the other copy's server dies, its block is
// lifted, and users move there.
func TestFlappingServerIsBetterThanNone(t *testing.T) {
	w := flapped(t)
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx2")
	w.pass(lookEach)
	w.compare("AllowActivation mbx1, failover mbx2", "")
	if w.active["db1"] != "mbx1" {
		t.Errorf("db1 is on %s", w.active["db1"])
	}
	w.pass(lookEach)
	w.compare("restart_service mbx2", "")
	for _, l := range w.r.Ladders() {
		if l.Server == "mbx1" || w.r.WhyBlocked("mbx1") != "" {
			t.Errorf("it still keeps a block: %+v", l)
		}
	}
	if r := w.r.Records()[1]; r.Message != "users of mbx2 have no access, no other copy serves, and mbx1 now does" {
		t.Errorf("%+v", r)
	}
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1") // it flaps again: this is a fault as any other
	w.sound = nil
	w.pass(lookEach)
	w.compare("restart_service mbx1", "")
}

// A server that has yet to succeed ten times in a row is better than none too.
func TestUnsteadyServerIsBetterThanNone(t *testing.T) {
	w := newWorld(t)
	w.homing = true
	const users = catalogue.ProxyConnectionsFailedGt20PercentMonitor
	w.monitors = append(w.monitors, health.MonitorState{Value: health.Healthy, Monitor: health.Monitor{
		HealthSet: catalogue.SetIMAP, Name: users, Target: "mbx1"}})
	w.plan.Ladders[users] = []Action{Failover, Escalate}
	w.r.Use(w.plan)
	w.ready("mbx1", "mbx2")
	w.set(health.Unhealthy, health.Networking, users+"/mbx1")
	w.pass(lookEach)
	w.set(health.Healthy, "", users+"/mbx1")
	w.pass(time.Minute)
	w.compare("failover mbx1", "")
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx2")
	w.pass(lookEach)
	w.compare("AllowActivation mbx1, failover mbx2", "")
}

// A block is kept where there is more to it than caution, where the server does not serve now, and where users have
// another copy or are not out.
func TestBlockIsNoPreference(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"fails":         func(w *world) { w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1") },
		"has failed":    func(w *world) { w.monitor("SelfTestMonitor/mbx1").InRow = 1 },
		"no answer":     func(w *world) { w.sound = nil },
		"probe fails":   func(w *world) { w.verify = health.Networking },
		"reads nothing": func(w *world) { w.r.ladders[selfTestID("mbx1")].Unread = []string{"db1"} },
		"another copy":  func(w *world) { w.homing, w.sound = false, []string{"mbx1", "mbx3"} },
		"source serves": func(w *world) { w.well = true },
		"cannot be lifted": func(w *world) {
			w.undoFail = errors.New("the disk is full")
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			w := flapped(t)
			w.plan.CommonPercent = 90
			w.r.Use(w.plan)
			w.set(health.Healthy, "", "SelfTestMonitor/mbx3")
			change(w)
			w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx2")
			w.pass(lookEach)
			if !w.blocked["mbx1"] || w.active["db1"] == "mbx1" {
				t.Errorf("blocked: %v; db1 is on %s; did %q", w.blocked, w.active["db1"], w.did)
			}
		})
	}
}
