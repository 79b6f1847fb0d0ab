package recovery

import (
	"errors"
	"strings"
	"testing"
	"time"

	"portico/health"
	"portico/health/catalogue"
)

// canaries adds the monitors of two canaries, v24 on mbx2 and v25 on mbx3, to the world.
func (w *world) canaries() {
	for _, target := range []string{"v24@mbx2", "v25@mbx3"} {
		w.monitors = append(w.monitors, health.MonitorState{Monitor: health.Monitor{HealthSet: catalogue.SetIMAP,
			Name: catalogue.ImapCanaryMonitor, Target: target}, Value: health.Healthy})
	}
	w.plan.Ladders[catalogue.ImapCanaryMonitor] = []Action{StopCanary, Escalate}
	w.r.Use(w.plan)
}

// A canary that serves users worse is stopped, and people are told so: also if its server fails and is being restarted,
// if another canary fails too, and only on a server of which recovery is on. Its server is not touched for that.
func TestCanaryIsStopped(t *testing.T) {
	w := newWorld(t)
	w.canaries()
	w.pass(time.Minute)
	w.set(health.Unhealthy, health.InformationStore, "CanaryMonitor/v24@mbx2")
	w.pass(10 * time.Second)
	w.compare("stop_canary v24", "")
	if got := strings.Join(w.helped, " "); got != "StopCanary/v24" {
		t.Errorf("told: %q", got)
	}
	w.monitors = w.monitors[:len(w.monitors)-2] // nothing looks at them any more
	w.pass(time.Minute)
	if left := w.r.Ladders(); len(left) > 0 || len(w.helped) != 1 {
		t.Errorf("left %+v, told %q", left, w.helped)
	}

	w = newWorld(t)
	w.canaries()
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx2")
	w.pass(10 * time.Second)
	w.compare("restart_service mbx2", "")
	w.set(health.Unhealthy, health.InformationStore, "CanaryMonitor/v24@mbx2", "CanaryMonitor/v25@mbx3")
	w.off = map[string]bool{"mbx3": true}
	w.pass(10 * time.Second)
	w.compare("stop_canary v24", "Canary/v25@mbx3")
	w.off = nil
	w.pass(10 * time.Second)
	w.compare("stop_canary v25", "")
}

// If a canary cannot be stopped, people are told so, and not that it has stopped.
func TestCanaryThatDoesNotStop(t *testing.T) {
	w := newWorld(t)
	w.canaries()
	w.fail[StopCanary] = errors.New("a node is absent")
	w.set(health.Unhealthy, health.InformationStore, "CanaryMonitor/v24@mbx2")
	w.pass(10 * time.Second)
	w.compare("stop_canary v24", "Canary/v24@mbx2")
	if len(w.helped) > 0 {
		t.Errorf("told: %q", w.helped)
	}
	w.pass(time.Hour)
	w.compare("", "Canary/v24@mbx2")
}

// On a site, the leader stops a canary, and no other node.
func TestLeaderStopsACanary(t *testing.T) {
	for _, leads := range []bool{false, true} {
		w := newWorld(t)
		w.site = &Site{Leads: func() bool { return leads }, Resign: func() {},
			Against: func(health.MonitorState) []string { return nil }}
		w.start()
		w.canaries()
		w.set(health.Unhealthy, health.InformationStore, "CanaryMonitor/v24@mbx2")
		w.pass(time.Minute)
		want := ""
		if leads {
			want = "stop_canary v24"
		}
		w.compare(want, "")
	}
}
