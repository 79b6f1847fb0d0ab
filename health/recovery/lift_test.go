package recovery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/health"
	"portico/health/catalogue"
)

// stored is how many ladders the store has.
func (w *world) stored() int {
	entries, err := w.store.List(w.t.Context(), storedLadders)
	if err != nil {
		w.t.Error(err)
	}
	return len(entries)
}

// A hook that returns at once leaves a server that is still starting. Whichever monitor asks, nothing more is done
// until the server had its time, or its probe has shown that it is back.
func TestServerThatIsStarting(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	w.set(health.Healthy, "", "SelfTestMonitor/mbx4")
	w.set(health.Unhealthy, health.InformationStore, "DeepTestMonitor/db4")
	w.pass(time.Minute)
	w.compare("restart_service mbx4", "")
	const followed = "IMAP.Protocol/ImapDeepTestMonitor/db4 for 5m0s, IMAP.Protocol/ImapSelfTestMonitor/mbx4 for 5m0s"
	if got := strings.Join(w.followed, ", "); got != followed {
		t.Errorf("probes that are repeated: %s", got)
	}
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx4")
	w.pass(3 * time.Minute)
	w.compare("", "")
	w.pass(time.Minute + lookEach)
	w.compare("restart_service mbx4", "") // of the server's own monitor, which comes first
	w.set(health.Healthy, "", "SelfTestMonitor/mbx4", "DeepTestMonitor/db4")
	w.pass(lookEach)
	w.compare("", "")
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx4") // it was back: this is another fault
	w.pass(lookEach)
	w.compare("restart_service mbx4", "")
}

// What was restarted by hand has its time too.
func TestRestartedByHand(t *testing.T) {
	w := newWorld(t)
	if _, err := w.r.ByHand(t.Context(), RestartServer, Case{Server: "mbx1"}, "operator", false); err != nil {
		t.Fatal(err)
	}
	if len(w.followed) != 1 {
		t.Errorf("probes that are repeated: %q", w.followed)
	}
	w.did = nil
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(5*time.Minute - lookEach)
	w.compare("", "")
	w.pass(2 * lookEach)
	w.compare("restart_service mbx1", "")
}

// The block of a server stays until that server is well: it is not lifted because nobody looks any more, and not
// because a database that has moved is well elsewhere.
func TestBlockStaysWhileTheServerIsDead(t *testing.T) {
	for _, cell := range []struct {
		name  string
		leave func(w *world)
	}{
		{"its monitor is disabled", func(w *world) { w.set(health.Disabled, "", "SelfTestMonitor/mbx1") }},
		{"somebody repairs it", func(w *world) { w.set(health.Repairing, "", "SelfTestMonitor/mbx1") }},
		{"no results come", func(w *world) { w.set(health.Unavailable, "", "SelfTestMonitor/mbx1") }},
		{"recovery is off", func(w *world) {
			w.plan.Mode = Off
			w.r.Use(w.plan)
		}},
		{"another process", func(w *world) {
			w.start()
			w.set(health.UnInitialized, "", "SelfTestMonitor/mbx1")
		}},
	} {
		t.Run(strings.ReplaceAll(cell.name, " ", "_"), func(t *testing.T) {
			w := newWorld(t)
			w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1", "DeepTestMonitor/db1")
			w.pass(6 * time.Minute)
			w.compare("restart_service mbx1, failover mbx1", "")
			cell.leave(w)
			w.pass(time.Hour)
			if strings.Contains(w.log(), "AllowActivation") || w.stored() != 1 {
				t.Errorf("while it is dead: %s, %+v", w.log(), w.r.Ladders())
			}
			w.did = nil
			if w.well = true; w.monitor("SelfTestMonitor/mbx1").Value != health.Disabled {
				w.set(health.Healthy, "", "SelfTestMonitor/mbx1")
			}
			w.pass(2 * time.Minute)
			w.compare("AllowActivation mbx1", "")
			if w.stored() != 0 {
				t.Errorf("%+v", w.r.Ladders())
			}
		})
	}
}

// A database whose server dies is well where it has moved to. The block of the dead server is its own monitor's from
// then on.
func TestBlockIsHandedOver(t *testing.T) {
	w := newWorld(t)
	w.plan.Ladders[catalogue.ImapDeepTestMonitor] = []Action{Failover}
	w.r.Use(w.plan)
	w.set(health.Unhealthy, health.InformationStore, "DeepTestMonitor/db1")
	w.set(health.Degraded, health.Networking, "SelfTestMonitor/mbx1")
	w.monitor("DeepTestMonitor/db1").LastTransition = w.now
	w.monitor("SelfTestMonitor/mbx1").Value = health.Healthy // it has failed once
	w.pass(time.Minute)
	w.compare("failover mbx1", "")
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(lookEach)
	w.compare("restart_service mbx1", "")
	w.set(health.Healthy, "", "SelfTestMonitor/mbx1")
	w.pass(time.Minute)
	w.compare("AllowActivation mbx1", "")
	if got := strings.Count(w.log(), "AllowActivation"); got != 1 || w.stored() != 0 {
		t.Errorf("%s, %+v", w.log(), w.r.Ladders())
	}
}

// A monitor that goes away leaves nothing behind, and one that is switched off nothing but the block of a server that
// is dead.
func TestLadderOfNobody(t *testing.T) {
	w := newWorld(t)
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1", "SelfTestMonitor/mbx2")
	w.plan.CommonPercent = 90
	w.r.Use(w.plan)
	w.pass(6 * time.Minute)
	w.did = nil
	w.set(health.Disabled, "", "SelfTestMonitor/mbx1")
	w.monitors = slices.DeleteFunc(w.monitors, func(m health.MonitorState) bool { return m.Target == "mbx2" })
	w.pass(time.Minute)
	w.compare("AllowActivation mbx2", "")
	if n := w.stored(); n != 1 {
		t.Errorf("%d are stored", n)
	}
}

// Whoever asks for a block to be lifted at the end of a runbook, while the server is still starting, has it lifted
// when it is well.
func TestLiftOfAServerThatIsStarting(t *testing.T) {
	w := newWorld(t)
	w.verify, w.blocked["mbx1"] = health.Networking, true
	r, err := w.r.Lift(t.Context(), Failover, Case{Server: "mbx1"}, "runbook selftest")
	if err != nil || r.Result != ResultSkipped || !strings.Contains(r.Message, "ImapSelfTestMonitor/mbx1 is Healthy") {
		t.Errorf("%+v: %v", r, err)
	}
	w.set(health.Degraded, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(time.Minute)
	w.compare("", "")
	w.start()
	w.set(health.Healthy, "", "SelfTestMonitor/mbx1")
	w.pass(time.Minute)
	w.compare("AllowActivation mbx1", "")
	if w.stored() != 0 {
		t.Errorf("%+v", w.r.Ladders())
	}
}

// flaps makes a monitor well at present, but Degraded since it flaps.
func (w *world) flaps(id string) {
	w.set(health.Degraded, health.Networking, id)
	m := w.monitor(id)
	m.InRow, m.FlapsSince, m.LastSuccess = 0, w.now, w.now
}

// A server that flaps stays blocked until it is Healthy. Each of its faults begins at the foot of the ladder.
func TestServerThatFlaps(t *testing.T) {
	w := newWorld(t)
	const id = "SelfTestMonitor/mbx1"
	w.set(health.Unhealthy, health.Networking, id)
	w.pass(6 * time.Minute)
	w.compare("restart_service mbx1, failover mbx1", "")
	if by := w.r.BlockingMonitor("mbx1"); by != "IMAP.Protocol/ImapSelfTestMonitor/mbx1" ||
		w.r.WhyBlocked("mbx1") != "" {
		t.Errorf("%q keeps it blocked: %q", by, w.r.WhyBlocked("mbx1"))
	}
	w.flaps(id)
	w.pass(time.Hour)
	w.compare("", "")
	if by, why := w.r.BlockingMonitor("mbx1"), w.r.WhyBlocked("mbx1"); by != "IMAP.Protocol/ImapSelfTestMonitor/mbx1" ||
		why != "the server stays blocked until "+by+" is Healthy" || w.r.BlockingMonitor("mbx2") != "" {
		t.Errorf("%q keeps it blocked: %q", by, why)
	}
	w.set(health.Unhealthy, health.Networking, id)
	w.pass(6 * time.Minute)
	w.compare("restart_service mbx1, failover mbx1", "")
	if l := w.r.Ladders(); len(l) != 1 || w.now.Sub(l[0].Since) > 6*time.Minute {
		t.Errorf("%+v", l)
	}
	w.flaps(id)
	w.pass(time.Minute)
	w.set(health.Healthy, "", id)
	w.pass(time.Minute)
	w.compare("AllowActivation mbx1", "")
	if got := strings.Count(w.log(), "AllowActivation"); got != 1 {
		t.Errorf("it was lifted %d times", got)
	}
	if got := strings.Join(w.helped, " "); got != "ServerFailover/mbx1 ServerFailover/mbx1" {
		t.Errorf("told: %s", got)
	}
}

// A server that flaps but is well at present does not keep recovery from others, and makes no common cause.
func TestFlappingButWell(t *testing.T) {
	w := newWorld(t)
	w.flaps("SelfTestMonitor/mbx6")
	for _, other := range []string{"1", "2", "3"} {
		w.flaps("DeepTestMonitor/db" + other)
	}
	w.set(health.Unhealthy, health.InformationStore, "DeepTestMonitor/db6")
	w.pass(lookEach)
	w.compare("failover db6", "")
}

// What waited for its turn for longer than whoever asked is not begun.
func TestTooLateForItsTurn(t *testing.T) {
	w := newWorld(t)
	if err := w.r.turn(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	did := make(chan error, 2)
	go func() {
		_, err := w.r.ByHand(ctx, RestartServer, Case{Server: "mbx1"}, "operator", false)
		did <- err
	}()
	go func() {
		_, err := w.r.Lift(ctx, Failover, Case{Server: "mbx1"}, "operator")
		did <- err
	}()
	cancel()
	for range 2 {
		if err := <-did; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	w.r.endTurn()
	for range 50 { // though it would be its turn
		if err := w.r.turn(ctx); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	w.compare("", "")
	if got := w.log(); got != "" {
		t.Error(got)
	}
	if _, err := w.r.ByHand(t.Context(), RestartServer, Case{Server: "mbx1"}, "operator", false); err != nil {
		t.Error(err)
	}
	w.compare("restart_server mbx1", "")
}

// While a monitor is Disabled its probe is run once a minute, to see whether what was done may be taken back.
func TestDisabledIsLookedAtEachMinute(t *testing.T) {
	w := newWorld(t)
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(6 * time.Minute)
	w.set(health.Disabled, "", "SelfTestMonitor/mbx1")
	w.pass(5 * time.Minute) // the failover has its time
	var runs []time.Time
	verify := w.r.opt.Verify
	w.r.opt.Verify = func(ctx context.Context, m health.MonitorState) *health.Result {
		runs = append(runs, w.now)
		return verify(ctx, m)
	}
	w.pass(10 * time.Minute)
	if len(runs) != 10 {
		t.Errorf("in 10 minutes it was run %d times", len(runs))
	}
	if l := w.r.Ladders(); len(l) != 1 || !strings.Contains(l[0].Note, "its monitor is Disabled") {
		t.Errorf("%+v", l)
	}
}

// What helped is told once, though the ladder stays until all is taken back.
func TestHelpedIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.set(health.Unhealthy, health.Networking, "ProxyTestMonitor")
	w.pass(6 * time.Minute)
	w.compare("restart_front_end ImapProxy, out_of_service ImapProxy", "")
	w.undoFail = errors.New("the disk is full")
	w.set(health.Healthy, "", "ProxyTestMonitor")
	w.pass(10 * time.Minute)
	if got := strings.Join(w.helped, ", "); got != "RestartFrontEnd/ImapProxy" {
		t.Errorf("it told %s", got)
	}
}
