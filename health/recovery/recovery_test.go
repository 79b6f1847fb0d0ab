package recovery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/health"
	"portico/health/catalogue"
)

// The default order: the service, the databases, the machine, people. What follows from the server's fault waits for
// the server's own ladder, and what moves away is well. When the server is, the ladder's block is lifted.
func TestDeadServer(t *testing.T) {
	w := newWorld(t)
	ids := []string{"SelfTestMonitor/mbx1", "DeepTestMonitor/db1", "CTPMonitor/db1"}
	w.set(health.Degraded, health.Networking, ids...)
	w.pass(time.Minute)
	w.compare("", "")
	w.set(health.Unhealthy, health.Networking, ids...)
	w.pass(time.Minute)
	w.compare("restart_service mbx1", "")
	w.pass(5 * time.Minute)
	w.compare("failover mbx1", "")
	w.pass(5 * time.Minute)
	w.compare("restart_server mbx1", "")
	w.pass(5 * time.Minute)
	w.compare("", "Self/mbx1")
	w.pass(time.Hour)
	w.compare("", "Self/mbx1")
	w.set(health.Healthy, "", ids...)
	w.pass(time.Minute)
	w.compare("AllowActivation mbx1", "")
	want := "RestartService/mbx1:Succeeded ServerFailover/mbx1:Succeeded ForceReboot/mbx1:Succeeded " +
		"AllowActivation/mbx1:Succeeded"
	if got := w.log(); got != want {
		t.Errorf("the log has\n%s", got)
	}
	if len(w.r.Ladders()) != 0 {
		t.Errorf("%+v", w.r.Ladders())
	}
	for _, r := range w.r.Records() {
		if r.State != Finished || r.End.IsZero() || !strings.HasPrefix(r.Requestor, "ImapSelfTest") ||
			r.ProcessStart.IsZero() {
			t.Errorf("%+v", r)
		}
	}
}

// Somebody hears of a failover as it is done, and of a restart when it has helped. What did not help is an alert, of
// which the log says who was told.
func TestPeopleKnow(t *testing.T) {
	w := newWorld(t)
	id := "IMAP.Protocol/ImapSelfTestMonitor/mbx1"
	w.set(health.Unhealthy, health.Networking, id)
	w.pass(time.Minute)
	if len(w.helped) != 0 {
		t.Errorf("before it succeeded: %q", w.helped)
	}
	w.set(health.Healthy, "", id)
	w.pass(time.Minute)
	w.set(health.Unhealthy, health.Networking, id)
	w.pass(6 * time.Minute)
	w.set(health.Healthy, "", id)
	w.pass(time.Minute)
	w.set(health.Unhealthy, health.Networking, id)
	w.pass(time.Hour)
	for range 2 {
		w.r.Escalated(t.Context(), []string{id, "IMAP.Protocol/ImapSelfTestMonitor/mbx2"}, "ops@example.org")
	}
	w.set(health.Healthy, "", id)
	w.pass(time.Minute)
	if got := fmt.Sprint(w.helped); got != "[RestartService/mbx1 ServerFailover/mbx1 ServerFailover/mbx1]" {
		t.Error(got)
	}
	if got := w.log(); strings.Count(got, "Escalate/mbx1:Succeeded") != 1 || strings.Contains(got, "Escalate/mbx2") {
		t.Error(got)
	}
}

// Healthy again ends the ladder, and the next fault begins at its foot.
func TestHealthyCancels(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
		w.pass(time.Minute)
		w.compare("restart_service mbx1", "")
		w.set(health.Healthy, "", "SelfTestMonitor/mbx1")
		w.pass(time.Hour)
		w.compare("", "")
	}
}

// A probe that succeeds by hand keeps anything from being done.
func TestVerifiedFirst(t *testing.T) {
	w := newWorld(t)
	w.well = true
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(5 * time.Minute)
	w.compare("", "")
	w.pass(5 * time.Minute)
	w.compare("", "Self/mbx1") // the monitor does not come round: people have to look
	w.well, w.verify = false, health.ActiveDirectory
	w.pass(10 * time.Minute)
	w.compare("", "Self/mbx1")
}

// What many have in common, and what is not the server's, is for people at once, and nobody acts.
func TestNobodyActs(t *testing.T) {
	for _, cell := range []struct {
		name string
		d    health.Dependency
		ids  []string
		told string
	}{
		{"all servers", health.Networking, []string{"SelfTestMonitor/mbx1", "SelfTestMonitor/mbx2",
			"SelfTestMonitor/mbx3"}, "Self/mbx1 Self/mbx2 Self/mbx3"},
		{"directory", health.ActiveDirectory, []string{"ProxyTestMonitor", "CTPMonitor/db1", "CTPMonitor/db2",
			"CTPMonitor/db3"}, "CTP/db1 CTP/db2 CTP/db3 Proxy/"},
		{"password of a health mailbox", health.Authentication,
			[]string{"SelfTestMonitor/mbx1", "DeepTestMonitor/db1", "CTPMonitor/db1"}, "CTP/db1 Deep/db1 Self/mbx1"},
		{"own shortage", health.Portico, []string{"ProxyTestMonitor", "SelfTestMonitor/mbx1", "CTPMonitor/db1"},
			"CTP/db1 Proxy/ Self/mbx1"},
		{"no active copy", health.HighAvailability, []string{"DeepTestMonitor/db1"}, "Deep/db1"},
	} {
		t.Run(strings.ReplaceAll(cell.name, " ", "_"), func(t *testing.T) {
			w := newWorld(t)
			w.set(health.Unhealthy, cell.d, cell.ids...)
			w.pass(time.Minute)
			w.compare("", cell.told)
			w.pass(time.Hour)
			w.compare("", cell.told)
			w.set(health.Healthy, "", cell.ids...)
			w.pass(time.Minute)
			w.compare("", "")
		})
	}
	t.Run("our_certificate", func(t *testing.T) {
		w := newWorld(t)
		w.set(health.Unhealthy, health.Networking, "ProxyTestMonitor")
		w.monitors[0].LastFailure.Phase = health.PhaseCertificate
		w.pass(time.Hour)
		w.compare("", "Proxy/")
	})
}

// What cannot be done is passed at once; what fails too.
func TestNothingHelps(t *testing.T) {
	w := newWorld(t)
	w.fail = map[Action]error{RestartService: Skipped("no hook"), Failover: Skipped("no healthy copy"),
		RestartServer: errors.New("exit status 1")}
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(lookEach)
	w.compare("restart_service mbx1, failover mbx1, restart_server mbx1", "Self/mbx1")
	if got := w.log(); got != "RestartService/mbx1:Skipped ServerFailover/mbx1:Skipped ForceReboot/mbx1:Failed" {
		t.Error(got)
	}
	w.set(health.Healthy, "", "SelfTestMonitor/mbx1")
	w.pass(time.Minute)
	w.compare("", "") // nothing is to be lifted
}

// A monitor without steps is for people at once, and what is switched off leaves nothing behind.
func TestNoSteps(t *testing.T) {
	w := newWorld(t)
	w.plan.Ladders[catalogue.ImapSelfTestMonitor] = nil
	w.r.Use(w.plan)
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1", "ProxyTestMonitor")
	w.pass(6 * time.Minute)
	w.compare("restart_front_end ImapProxy, out_of_service ImapProxy", "Self/mbx1")
	w.plan.Mode = Off
	w.r.Use(w.plan)
	w.pass(time.Minute)
	w.compare("BringComponentOnline ImapProxy", "Proxy/ Self/mbx1")
}

func TestDryRun(t *testing.T) {
	w := newWorld(t)
	w.plan.Mode = DryRun
	w.r.Use(w.plan)
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(time.Minute)
	w.compare("", "Self/mbx1")
	if got := w.log(); got != "RestartService/mbx1:DryRun ServerFailover/mbx1:DryRun ForceReboot/mbx1:DryRun" {
		t.Error(got)
	}
	w.plan.Mode = Off
	w.r.Use(w.plan)
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx2")
	w.pass(time.Minute)
	w.compare("", "Self/mbx1 Self/mbx2")
}

// A process that is killed in the middle of a step leaves behind where it was: the next one goes on, and does nothing
// twice that is not as good done once.
func TestKilledInTheMiddle(t *testing.T) {
	w := newWorld(t)
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.kill = RestartService
	w.pass(time.Minute)
	w.compare("restart_service mbx1", "")
	before := w.monitors
	w.kill = ""
	w.start()
	w.set(health.UnInitialized, "", "SelfTestMonitor/mbx1") // as after every start
	w.pass(3 * time.Minute)
	w.compare("", "")
	w.monitors = before
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(4 * time.Minute)
	w.compare("", "") // the step has its time to help
	w.kill = Failover
	w.pass(2 * time.Minute)
	w.compare("failover mbx1", "")
	w.kill = ""
	w.start()
	w.pass(time.Minute)
	w.compare("failover mbx1", "") // on to its end
	w.pass(5 * time.Minute)
	w.compare("restart_server mbx1", "")
	w.start() // and between steps
	w.pass(6 * time.Minute)
	w.compare("", "Self/mbx1")
	w.set(health.Healthy, "", "SelfTestMonitor/mbx1")
	w.pass(time.Minute)
	w.compare("AllowActivation mbx1", "")
	want := "RestartService/mbx1:Interrupted ServerFailover/mbx1:Succeeded ForceReboot/mbx1:Succeeded " +
		"AllowActivation/mbx1:Succeeded"
	if got := w.log(); got != want {
		t.Errorf("the log has\n%s", got)
	}
}

// A server that comes and goes for a week, or 30 hours, is acted upon no more often than may be, and so are all
// together.
func TestThrottlingHolds(t *testing.T) {
	w := newWorld(t)
	limit := Throttle{Between: 10 * time.Minute, InAnHour: 2, InADay: 4, GroupBetween: time.Minute, GroupInADay: 6}
	for _, action := range []Action{RestartService, Failover, RestartServer} {
		w.plan.Throttles[action] = limit
	}
	w.r.Use(w.plan)
	w.each = time.Minute
	ids := []string{"SelfTestMonitor/mbx4", "SelfTestMonitor/mbx5"}
	for end := w.now.Add(lasts(7*24*time.Hour, 30*time.Hour)); w.now.Before(end); {
		w.set(health.Unhealthy, health.Networking, ids[:1+int(w.now.Unix()/3600)%2]...)
		w.pass(7 * time.Minute)
		w.set(health.Healthy, "", ids...)
		w.pass(13 * time.Minute)
	}
	records := w.r.Records()
	attempts := 0
	for i, r := range records {
		if !r.attempted() || kinds[RestartService].id != r.ID {
			continue
		}
		attempts++
		var hour, day, group int
		for _, other := range records[:i+1] {
			if other.ID != r.ID || !other.attempted() || r.Start.Sub(other.Start) >= 24*time.Hour {
				continue
			}
			group++
			if other.Resource == r.Resource {
				day++
				if r.Start.Sub(other.Start) < time.Hour {
					hour++
				}
			}
		}
		if hour > limit.InAnHour || day > limit.InADay || group > limit.GroupInADay {
			t.Fatalf("%v: %d in an hour, %d in a day, %d on all in a day", r.Start, hour, day, group)
		}
	}
	if attempts < 6 || len(records) > maxRecords { // the log holds the latest of the week
		t.Errorf("%d attempts, %d records", attempts, len(records))
	}
	if entries, err := w.store.List(t.Context(), storedLog); err != nil || len(entries) != len(records) {
		t.Errorf("%d are stored: %v", len(entries), err)
	}
}

func TestByHand(t *testing.T) {
	w := newWorld(t)
	w.plan.Throttles[RestartService] = Throttle{InAnHour: 1, InADay: -1, GroupInADay: -1}
	w.r.Use(w.plan)
	for range 2 {
		if r, err := w.r.ByHand(t.Context(), RestartService, Case{Server: "mbx1"}, "operator", false); err != nil ||
			r.Result != ResultSucceeded {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if r, err := w.r.ByHand(t.Context(), RestartService, Case{Server: "mbx1"}, "runbook selftest",
		true); !errors.Is(err, ErrThrottled) || r.Result != ResultThrottled {
		t.Errorf("%+v: %v", r, err)
	}
	if _, err := w.r.ByHand(t.Context(), "reboot", Case{}, "operator", false); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if r, err := w.r.Lift(t.Context(), Failover, Case{Server: "mbx1"}, "operator"); err != nil ||
		r.Result != ResultSucceeded {
		t.Errorf("%+v: %v", r, err)
	}
	w.compare("restart_service mbx1, restart_service mbx1, AllowActivation mbx1", "")
	// The ladder counts them.
	w.now = w.now.Add(time.Second)
	w.set(health.Healthy, "", "SelfTestMonitor/mbx1") // it is back
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(lookEach)
	w.compare("failover mbx1", "")
}

// A copy of a ladder, which Ladders returns, stays as it was.
func TestLaddersCopies(t *testing.T) {
	l := Ladder{Lift: []Action{ProtocolLog, Failover}}
	shown := l
	l.drop(Failover)
	l.add(OutOfService)
	if !slices.Equal(shown.Lift, []Action{ProtocolLog, Failover}) {
		t.Errorf("the copy has become %v", shown.Lift)
	}
}
