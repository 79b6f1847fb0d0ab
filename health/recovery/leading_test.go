package recovery

import (
	"testing"
	"time"

	"portico/health"
)

const ctp4 = "IMAP/ImapCTPMonitor/db4"

// Only the leader looks after mailbox servers. Another node knows how far it is, and tells people when the leader
// does, or if the leader does nothing about what this node sees.
func TestOnlyTheLeaderActs(t *testing.T) {
	w := newWorld(t)
	w.onSite()
	other := w.neighbour("mx2")
	other.follows = true
	w.set(health.Unhealthy, health.Networking, selfTest1)
	other.set(health.Unhealthy, health.Networking, selfTest1, "SelfTestMonitor/mbx4")
	for range 40 {
		w.pass(30 * time.Second)
		other.pass(30 * time.Second)
	}
	w.compare("restart_service mbx1, failover mbx1, restart_server mbx1", "Self/mbx1")
	other.compare("", "Self/mbx1 Self/mbx4")
	if all := other.r.Ladders(); len(all) != 1 || all[0].Rung != 4 {
		t.Errorf("it shows %+v", all)
	}
	other.follows, w.follows = false, true // and now the other one leads
	other.set(health.Healthy, "", selfTest1, "SelfTestMonitor/mbx4")
	other.pass(lookEach)
	w.pass(lookEach)
	other.compare("AllowActivation mbx1", "")
	if all := w.r.Ladders(); len(all) > 0 {
		t.Errorf("it shows %+v", all)
	}
}

// Each node looks after its own front end, whoever leads, and leaves those of others alone.
func TestFrontEndsAreTheirNodes(t *testing.T) {
	w := newWorld(t)
	w.onSite()
	w.follows = true
	other := w.neighbour("mx2")
	w.set(health.Unhealthy, "", proxyTest)
	w.set(health.Unhealthy, health.Networking, ctp4) // its servers work: the front end is at fault
	w.pass(lookEach)
	other.pass(lookEach)
	w.compare("restart_front_end ImapProxy", "")
	other.set(health.Unhealthy, "", proxyTest)
	other.pass(lookEach)
	other.compare("restart_front_end ImapProxy", "")
	w.pass(w.plan.Wait)
	w.compare("out_of_service ImapProxy", "")
	other.set(health.Healthy, "", proxyTest)
	other.pass(lookEach)
	other.compare("", "")
	if all := other.r.Ladders(); len(all) != 2 || all[0].Node != "mx1" || all[1].Node != "mx1" {
		t.Errorf("it shows %+v", all)
	}
	w.r.Escalated(t.Context(), []string{proxyTest}, "ops")
	w.set(health.Healthy, "", proxyTest, ctp4)
	w.pass(lookEach)
	w.compare("BringComponentOnline ImapProxy", "")
	if keys := w.entries(storedLadders); len(keys) > 0 {
		t.Errorf("the store has %q", keys)
	}
}

// A fault that turns out to be a mailbox server's becomes the leader's.
func TestFaultBecomesTheSites(t *testing.T) {
	w := newWorld(t)
	w.onSite()
	w.follows = true
	w.set(health.Unhealthy, health.ActiveDirectory, ctp4) // nobody to act upon yet
	w.pass(lookEach)
	if all := w.r.Ladders(); len(all) != 1 || all[0].Node != "mx1" {
		t.Errorf("it shows %+v", all)
	}
	w.set(health.Unhealthy, health.InformationStore, "DeepTestMonitor/db4", ctp4)
	w.pass(lookEach)
	if all := w.r.Ladders(); len(all) > 0 {
		t.Errorf("it shows %+v", all)
	}
	w.compare("", "")
	w.follows = false
	w.pass(lookEach)
	w.compare("restart_service mbx4", "")
}

// A leader that alone sees a mailbox server fail does nothing, says so once, and leaves the decision to others. People
// know of it after the time of a step. If others see it too, or later, it acts.
func TestLeaderAlone(t *testing.T) {
	w := newWorld(t)
	w.onSite()
	w.against = map[string][]string{selfTest1: {"mx2", "mx3"}}
	w.set(health.Unhealthy, health.Networking, selfTest1)
	w.pass(time.Minute) // the others may be about to see it too
	if w.resigned > 0 || w.skipped() != "" {
		t.Errorf("it has resigned %d times; the log says %s", w.resigned, w.skipped())
	}
	w.compare("", "")
	w.pass(w.plan.Wait - time.Minute)
	w.compare("", "")
	w.pass(2 * lookEach)
	w.compare("", "Self/mbx1")
	if w.resigned == 0 {
		t.Error("it has not resigned")
	}
	const why = "mbx1: mbx1 fails for mx1, and not for mx2, mx3: the network of mx1 may be at fault, and " +
		"another node decides"
	if got := w.skipped(); got != why {
		t.Errorf("the log says %s", got)
	}
	w.against = nil
	w.pass(lookEach)
	w.compare("restart_service mbx1", "")
	w.monitors = nil // RecoveryActionsEnabled is Inactive
	w.resigned = 0
	w.pass(lookEach)
	if w.resigned == 0 {
		t.Error("it leads although it does nothing")
	}
}
