package node

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health"
)

// Faults of real mailbox servers as they come at night: what turned, what was done, what people were told, and that
// nothing else was.

// night is a watched site with a copy of each database on both servers, hooks that note what they are told, and a
// mailbox for alerts.
type night struct {
	*watchedSite
	file              string
	restarts, reboots func() string
	mail              string
}

func newNight(t *testing.T, recovery string) *night {
	n := &night{watchedSite: newWatchedSite(t, nil)}
	n.mail = filepath.Join(n.dir, "alerts")
	var service, machine string
	service, n.restarts = n.hook(t, "restart-service", "")
	machine, n.reboots = n.hook(t, "restart-server", "") // it returns at once, whatever becomes of the machine
	n.file = n.config(t, healthTimings+
		fmt.Sprintf("  escalate: {gather: 1s, mail: {command: [/bin/sh, -c, \"cat >>%s\"], to: ops@example.org}}\n",
			n.mail)+
		"  recovery: {restart_service: "+service+", restart_server: "+machine+", "+recovery+"}\n")
	n.replace(t, "{db1: {copies: [mbx1]}, db2: {copies: [mbx2]}}",
		"{db1: {copies: [mbx1, mbx2]}, db2: {copies: [mbx2, mbx1]}}")
	return n
}

// told lists the subjects of all mail to people, less what follows the first comma or bracket: that is which monitors,
// and details.
func (n *night) told() string {
	text, _ := os.ReadFile(n.mail)
	var all []string
	for line := range strings.Lines(string(text)) {
		if subject, ok := strings.CutPrefix(line, "Subject: IMAP: "); ok {
			subject, _, _ = strings.Cut(strings.TrimSpace(subject), " (")
			subject, _, _ = strings.Cut(subject, ": I")
			all = append(all, subject)
		}
	}
	return strings.Join(all, "; ")
}

// compare waits until people were told all that they should hear and all was done, and holds both against what should
// be.
func (n *night) compare(t *testing.T, r *running, did, told string) {
	t.Helper()
	r.eventually(t, "people are told "+told, func() bool { return len(n.told()) >= len(told) })
	waits(func() bool { return r.did() == did }) // a step may be on record a moment after its effect
	if got := r.did(); got != did {
		t.Errorf("it did\n%s\nwanted\n%s", got, did)
	}
	if got := n.told(); got != told {
		t.Errorf("people were told\n%s\nwanted\n%s", got, told)
	}
}

// did is the recovery log without escalations: which of the monitors that are told come first is open.
func (r *running) did() string {
	var steps []string
	for step := range strings.FieldsSeq(r.recovered()) {
		if !strings.HasPrefix(step, "Escalate/") {
			steps = append(steps, step)
		}
	}
	return strings.Join(steps, " ")
}

// since logs how long something took.
func since(t *testing.T, began time.Time, what string) {
	t.Logf("%s after %v", what, time.Since(began).Round(100*time.Millisecond))
}

// One of two servers with half of the databases each dies: its half moves, the other half stays.
func TestNightOfOneOfTwoServers(t *testing.T) {
	testkit.NoLeaks(t)
	n := newNight(t, "wait: 2s")
	r := n.serve(t, n.file)
	r.settled(t)
	r.impatient(t)
	began := time.Now()
	n.valves[0].set(fault{refuse: true})
	r.eventually(t, "db1 has moved", func() bool { return r.mailbox.activeOn("db1") == "mbx2" })
	since(t, began, "db1 moved")
	r.turns(t, map[string]string{self1: "Networking"})
	const did = "ServerFailover/mbx1:Succeeded RestartService/mbx1:Succeeded ForceReboot/mbx1:Succeeded"
	const told = "ServerFailover mbx1: db1 moved to mbx2; Networking of mbx1 is at fault"
	n.compare(t, r, did, told)
	since(t, began, "alert sent")
	if r.mailbox.activeOn("db2") != "mbx2" || n.restarts() != "restart mbx1" || n.reboots() != "restart mbx1" {
		t.Errorf("db2 is on %s; %s; %s", r.mailbox.activeOn("db2"), n.restarts(), n.reboots())
	}
	n.valves[0].set(fault{})
	r.settled(t)
	r.eventually(t, "the block is lifted", func() bool { return !r.mailbox.active.Blocked("mbx1") })
	n.compare(t, r, did+" AllowActivation/mbx1:Succeeded", told+"; Networking of mbx1 is healthy again")
}

// A database that has no other copy stays on its dead server while the other moves: the failover is incomplete, its
// service is restarted but not the machine that holds the only copy, and people are told what stayed and why.
func TestNightOfAnOnlyCopy(t *testing.T) {
	testkit.NoLeaks(t)
	n := newNight(t, "wait: 2s")
	n.replace(t, "{db1: {copies: [mbx1, mbx2]}, ", "{only: {copies: [mbx1]}, db1: {copies: [mbx1, mbx2]}, ")
	r := n.serve(t, n.file)
	r.settled(t)
	r.impatient(t)
	n.valves[0].set(fault{refuse: true})
	const did = "ServerFailover/mbx1:Incomplete RestartService/mbx1:Succeeded ServerFailover/mbx1:Throttled " +
		"ForceReboot/mbx1:Skipped"
	const told = "ServerFailover mbx1: 1 of 2 databases stayed: db1 moved to mbx2; only kept: no healthy copy; " +
		"Networking of mbx1 is at fault"
	n.compare(t, r, did, told)
	if r.mailbox.activeOn("db1") != "mbx2" || r.mailbox.activeOn("only") != "mbx1" {
		t.Errorf("db1 is on %s, only on %s", r.mailbox.activeOn("db1"), r.mailbox.activeOn("only"))
	}
	if n.restarts() != "restart mbx1" || n.reboots() != "" {
		t.Errorf("%s; %s", n.restarts(), n.reboots())
	}
	n.valves[0].set(fault{})
	r.settled(t)
	r.eventually(t, "the block is lifted", func() bool { return !r.mailbox.active.Blocked("mbx1") })
	n.compare(t, r, did+" AllowActivation/mbx1:Succeeded", told+"; Networking of mbx1 is healthy again")
}

// A failover that is not possible at first, since nothing may be activated on the other server, is done when it may:
// users are out, and all other steps are over. A hook that fails is not said to have done anything.
func TestNightOfABlockedCopy(t *testing.T) {
	testkit.NoLeaks(t)
	n := newNight(t, "wait: 1s")
	n.hook(t, "restart-service", "exit 1")
	r := n.serve(t, n.file)
	r.settled(t)
	r.impatient(t)
	r.asks(t, cli.StatusFine, "server", "block", "mbx2")
	n.valves[0].set(fault{refuse: true})
	const skipped = "RestartService/mbx1:Failed ServerFailover/mbx1:Skipped ForceReboot/mbx1:Skipped"
	n.compare(t, r, skipped, "Networking of mbx1 is at fault")
	if got := r.asks(t, cli.StatusFine, "health", "recovery", "-o", "json"); strings.Contains(got,
		"the hook has run") {
		t.Error(got)
	}
	began := time.Now()
	r.asks(t, cli.StatusFine, "server", "unblock", "mbx2")
	r.eventually(t, "db1 has moved", func() bool { return r.mailbox.activeOn("db1") == "mbx2" })
	since(t, began, "db1 moved")
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("users waited %v for a copy that was ready", took)
	}
	r.eventually(t, "mbx1 is restarted", func() bool { return n.reboots() == "restart mbx1" })
	r.eventually(t, "the restart is on record", func() bool {
		got := r.recovered()
		return strings.HasPrefix(got, skipped) &&
			strings.HasSuffix(got, " ServerFailover/mbx1:Succeeded ForceReboot/mbx1:Succeeded")
	})
	n.valves[0].set(fault{})
	r.settled(t)
}

// A health mailbox that has used up its connections to a server is no fault of the server: its databases stay, and
// people are told about the account.
func TestNightOfUsedUpConnections(t *testing.T) {
	testkit.NoLeaks(t)
	n := newNight(t, "wait: 1s")
	r := n.serve(t, n.file)
	r.settled(t)
	r.impatient(t)
	const most = 10
	crowded := testkit.Dovecot(t, backendtest.DovecotOptions{MaxUserIPConnections: most, QuickFailures: true,
		Users: []backendtest.User{
			{Name: "health1", Password: "probe-it"}, {Name: "health2", Password: "probe-it"},
		}})
	for range most {
		c := testkit.Dial(t, crowded.Plain, nil)
		c.Expect("* OK *")
		c.Command("a", "LOGIN health1 probe-it")
		defer c.Close()
	}
	n.valves[0].set(fault{to: crowded.Plain})
	r.turns(t, map[string]string{self1: "Authentication", deep1: "Authentication", ctp1: "Authentication"})
	n.compare(t, r, "", "Authentication of mbx1 is at fault")
	if text, _ := os.ReadFile(n.mail); !strings.Contains(string(text),
		"account health1 has used up the connections that mbx1 allows it") {
		t.Errorf("%s", text)
	}
}

// A store that comes and goes is told as flapping, though no fault lasts long enough to be acted upon, until it is
// quiet.
func TestNightOfAFlap(t *testing.T) {
	testkit.NoLeaks(t)
	n := newNight(t, "wait: 1s")
	n.replace(t, "flapping: {changes: 0}", "flapping: {changes: 4, window: 1h}")
	r := n.serve(t, n.file)
	r.settled(t)
	began := time.Now()
	for range 3 { // each ends long before its minute of Degraded is over; no probe is cut in another phase
		n.valves[0].turn(fault{hangsUpOn: opens})
		r.eventually(t, "db1 fails", func() bool {
			all := r.monitors(t)
			return all[deep1].FirstAlert != nil && all[ctp1].FirstAlert != nil
		})
		n.valves[0].turn(fault{})
		r.eventually(t, "db1 is well", func() bool {
			all := r.monitors(t)
			return all[deep1].FirstAlert == nil && all[ctp1].FirstAlert == nil
		})
	}
	const told = "Information Store of mbx1 is at fault"
	n.compare(t, r, "", told)
	since(t, began, "alert sent")
	for name, m := range r.monitors(t) {
		if flaps := name == deep1 || name == ctp1; m.Flapping != flaps || flaps && m.AlertValue != "Degraded" {
			t.Errorf("%s: %+v", name, m)
		}
	}
	n.replace(t, "window: 1h", "window: 1s")
	r.signals <- syscall.SIGHUP
	r.settled(t)
	n.compare(t, r, "", told+"; Information Store of mbx1 is healthy again")
}

// A hook that returns at once is no server that is back: nothing more is done while the server starts, its block
// stays, and it is lifted when the server signs in. A runbook waits too, and what it has blocked stays blocked if it
// ends before the server is back.
func TestNightOfASlowReboot(t *testing.T) {
	testkit.NoLeaks(t)
	n := newNight(t, "mode: \"off\", throttle: {restart_service: {group_between: 0s, between: 0s}, "+
		"failover: {between: 0s, group_between: 0s, in_an_hour: -1}, "+
		"restart_server: {between: 0s, group_between: 0s, in_an_hour: -1, in_a_day: -1}}")
	r := n.serve(t, n.file)
	r.settled(t)
	r.impatient(t)
	n.valves[0].set(fault{refuse: true})
	r.turns(t, map[string]string{self1: "Networking", deep1: "Networking", ctp1: "Networking"})

	got := r.asks(t, cli.StatusBad, "runbook", "selftest", "mbx1", "--auto", "--wait", "1s")
	for _, words := range []string{
		"Waiting up to 1s for mbx1 to come back.", "db1 moved to mbx2",
		"AllowActivation: mbx1 does not accept sign-ins yet",
		"The monitor is not healthy.",
	} {
		if !strings.Contains(got, words) {
			t.Errorf("no %q in\n%s", words, got)
		}
	}
	if !slices.Contains(r.mailbox.active.BlockedBy("mbx1"), byHealth) || n.reboots() != "restart mbx1" {
		t.Errorf("blocked by %v; %s", r.mailbox.active.BlockedBy("mbx1"), n.reboots())
	}
	n.valves[0].set(fault{})
	r.settled(t)
	r.eventually(t, "the block is lifted", func() bool { return !r.mailbox.active.Blocked("mbx1") })

	// The server is back while the runbook waits.
	r.asks(t, cli.StatusFine, "database", "move", "db1", "mbx1")
	n.valves[0].set(fault{refuse: true})
	r.turns(t, map[string]string{self1: "Networking", deep1: "Networking", ctp1: "Networking"})
	go func() { // it starts: the runbook has looked in vain before it is back
		waits(func() bool { return n.reboots() == "restart mbx1\nrestart mbx1" })
		rebooted := time.Now()
		waits(func() bool { return r.lookedInVain("ImapSelfTestProbe", "mbx1", rebooted) })
		n.valves[0].set(fault{})
	}()
	got = r.asks(t, cli.StatusFine, "runbook", "selftest", "mbx1", "--auto", "--wait", "10s")
	if strings.Count(got, "Waiting up to 10s for mbx1") != 2 || !strings.HasSuffix(got, "Recovered.\n") {
		t.Error(got)
	}
	if r.mailbox.active.Blocked("mbx1") {
		t.Errorf("blocked by %v", r.mailbox.active.BlockedBy("mbx1"))
	}
}

// waits returns when ok is true, or after a while: what comes then shows what is wrong.
func waits(ok func() bool) {
	for end := time.Now().Add(testkit.Patience); !ok() && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
}

// lookedInVain says whether a run of a probe by hand has begun since a time, and has failed.
func (r *running) lookedInVain(probe, target string, since time.Time) bool {
	return slices.ContainsFunc(r.monitoring.engine.Probes(), func(p health.ProbeState) bool {
		return p.Name == probe && p.Target == target &&
			slices.ContainsFunc(p.Results, func(result *health.Result) bool {
				return result.ByHand && result.Type != health.Succeeded && result.Start.After(since)
			})
	})
}

// Two servers fail at a time, each in its own way: one is dead, the other cannot read a mailbox. What can be done is
// done for each, and people hear of both.
func TestNightOfTwoFaults(t *testing.T) {
	testkit.NoLeaks(t)
	n := newNight(t, "wait: 2s, throttle: {restart_service: {group_between: 0s}, failover: {group_between: 0s}}")
	r := n.serve(t, n.file)
	r.settled(t)
	r.impatient(t)
	folder := filepath.Join(n.dovecots[1].Dir, "mail", "health2")
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.valves[0].set(fault{refuse: true})
	r.eventually(t, "db1 has moved", func() bool { return r.mailbox.activeOn("db1") == "mbx2" })
	for _, id := range []string{"IMAP.Protocol/ImapSelfTestMonitor/mbx1", "IMAP.Protocol/ImapDeepTestMonitor/db2"} {
		r.eventually(t, "people are told about "+id, func() bool {
			return slices.ContainsFunc(r.alerts.escalator.Open(),
				func(a health.Alert) bool { return slices.Contains(a.Monitors, id) })
		})
	}
	if r.mailbox.activeOn("db2") != "mbx2" || n.reboots() != "restart mbx1" {
		t.Errorf("db2 is on %s; %s; %s", r.mailbox.activeOn("db2"), n.restarts(), n.reboots())
	}
	// A restart of mbx2's service is a step too, if nothing else is known to be well there.
	fine := []string{"Escalate", "RestartService"}
	for _, record := range r.recovery.responders.Records() {
		if record.Resource != "mbx1" && !slices.Contains(fine, record.ID) && record.Result != "Skipped" {
			t.Errorf("it did %+v", record)
		}
	}
	os.Remove(folder)
	os.Rename(folder+".away", folder)
	n.valves[0].set(fault{})
	r.settled(t)
	r.eventually(t, "all is told to be over", func() bool { return len(r.alerts.escalator.Open()) == 0 })
}

// A process that is killed while an alert is open is followed by one that does not tell it again, and tells when it is
// over.
func TestNightOfAKill(t *testing.T) {
	n := newNight(t, "mode: \"off\"")
	r := n.serve(t, n.file)
	r.settled(t)
	r.impatient(t)
	r.signals <- syscall.SIGTERM
	r.stopped(t)
	n.valves[0].set(fault{refuse: true})
	cmd := testkit.Program(t, "serve", "--config", n.file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	const told = "Networking of mbx1 is at fault"
	r.eventually(t, "people are told", func() bool { return n.told() == told })
	since(t, began, "alert sent")
	r.eventually(t, "all that failed is told", func() bool {
		_, out, _ := command("health", "alerts", "-o", "json", "--admin", filepath.Join(n.dir, "admin.sock"))
		return strings.Contains(out, "ImapCTPMonitor/db1") && strings.Contains(out, "ImapDeepTestMonitor/db1")
	})
	cmd.Process.Kill()
	cmd.Wait()
	r = n.serve(t, n.file)
	r.turns(t, map[string]string{self1: "Networking", deep1: "Networking", ctp1: "Networking"})
	if got := r.asks(t, cli.StatusBad, "health", "alerts"); !strings.Contains(got, "Networking of mbx1") {
		t.Error(got)
	}
	n.valves[0].set(fault{})
	r.settled(t)
	n.compare(t, r, "", told+"; Networking of mbx1 is healthy again")
}

// A process that is killed while an alert about flapping is open is followed by one that knows that the monitors flap:
// nobody is told that all is well. If the server dies for good then, people are told.
func TestNightOfAKillWhileItFlaps(t *testing.T) {
	n := newNight(t, "mode: \"off\"")
	n.replace(t, "flapping: {changes: 0}", "flapping: {changes: 2, window: 1h}")
	r := n.serve(t, n.file)
	r.settled(t)
	r.signals <- syscall.SIGTERM
	r.stopped(t)
	cmd := testkit.Program(t, "serve", "--config", n.file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	failing := func(want bool) {
		t.Helper()
		r.eventually(t, "the monitor changes", func() bool {
			_, out, _ := command("health", "get", "ImapSelfTestMonitor", "--where",
				"TargetResource -eq mbx1 -and AlertValue -ne UnInitialized", "-o", "json", "--admin",
				filepath.Join(n.dir, "admin.sock"))
			return strings.Contains(out, "alert_value\"") &&
				strings.Contains(out, "first_alert_observed_time") == want
		})
	}
	failing(false)
	for range 2 {
		n.valves[0].turn(fault{hangsUpOn: "LOGIN"})
		failing(true)
		n.valves[0].turn(fault{})
		failing(false)
	}
	r.eventually(t, "people are told", func() bool { return n.told() != "" })
	cmd.Process.Kill()
	cmd.Wait()
	told := n.told()
	if strings.Contains(told, "healthy again") {
		t.Fatal(told)
	}
	r = n.serve(t, n.file)
	r.eventually(t, "the monitor is known to flap", func() bool {
		m := r.monitors(t)[self1]
		return m.Flapping && m.AlertValue == "Degraded" && m.FirstAlert == nil
	})
	for _, words := range [][]string{{"health", "get", "ImapSelfTestMonitor"}, {"health", "report"}} {
		if got := r.asks(t, cli.StatusBad, words...); !strings.Contains(got, self1+"\n  since ") ||
			!strings.Contains(got, " at the earliest") {
			t.Errorf("%s: %s", words, got)
		}
	}
	n.valves[0].set(fault{refuse: true})
	r.eventually(t, "people are told more", func() bool { return len(n.told()) > len(told) })
	if more := strings.TrimPrefix(n.told(), told); strings.Contains(more, "healthy again") ||
		!strings.Contains(more, "Networking of mbx1 is at fault") {
		t.Errorf("people were told %s, then %s", told, more)
	}
	n.valves[0].set(fault{})
}

// Recovery can be off for one mailbox server for a time: its users stay, and people are told at once.
func TestRecoveryOffForATime(t *testing.T) {
	testkit.NoLeaks(t)
	n := newNight(t, "wait: 1s")
	r := n.serve(t, n.file)
	r.settled(t)
	r.impatient(t)
	const set = "component set RecoveryActionsEnabled --server mbx1 --requester Maintenance --state "
	if got := r.asks(t, cli.StatusFine, strings.Fields(set+"Inactive --duration 1h")...); !strings.Contains(got,
		"component RecoveryActionsEnabled of mbx1") || !strings.Contains(got, "Inactive until 20") {
		t.Error(got)
	}
	r.asks(t, cli.StatusFailed, "component", "set", "ImapProxy", "--server", "mbx1", "--requester", "Maintenance",
		"--state", "Inactive")
	n.valves[0].set(fault{refuse: true})
	n.compare(t, r, "", "Networking of mbx1 is at fault")
	if got := r.asks(t, cli.StatusFine, "health", "recovery"); !strings.Contains(got, "Recovery is off for mbx1") ||
		r.mailbox.activeOn("db1") != "mbx1" {
		t.Errorf("db1 is on %s; %s", r.mailbox.activeOn("db1"), got)
	}
	if got := r.asks(t, cli.StatusBad, "component", "get", "RecoveryActionsEnabled"); !strings.Contains(got,
		"RecoveryActionsEnabled of mbx1  Inactive") {
		t.Error(got)
	}
	if err := r.components.set.End(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "db1 has moved", func() bool { return r.mailbox.activeOn("db1") == "mbx2" })
	if left, err := r.store.local.List(t.Context(), "health/components/"); err != nil || len(left) != 0 {
		t.Errorf("stored: %v, %v", left, err)
	}
	n.valves[0].set(fault{})
}
