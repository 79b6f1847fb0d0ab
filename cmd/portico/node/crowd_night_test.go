package node

import (
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health/catalogue"
)

const users1, users2 = "ProxyConnectionsFailedGt20PercentMonitor/mbx1", "ProxyConnectionsFailedGt20PercentMonitor/mbx2"

// quickUsers has the check of users' sign-ins run each second, and its monitor take three failures for one.
func (r *running) quickUsers(t testing.TB) {
	t.Helper()
	r.asks(t, cli.StatusFine, "override", "add", "IMAP/ProxyConnectionsFailedGt20PercentCheck", "--property",
		"RecurrenceIntervalSeconds", "--value", "1")
	for property, value := range map[string]string{"MonitoringThreshold": "3", "UnhealthySeconds": "1"} {
		r.asks(t, cli.StatusFine, "override", "add", "IMAP/ProxyConnectionsFailedGt20PercentMonitor", "--item-type",
			"Monitor", "--property", property, "--value", value)
	}
}

// patient has probes find nothing before users do.
func (n *night) patient(t testing.TB) {
	t.Helper()
	for _, probe := range []string{"self_test: {interval: 1s, timeout: 5s", "deep_test: {interval: 1s, timeout: 5s",
		"ctp: {interval: 1s, timeout: 6s"} {
		n.replace(t, probe+", failures: 2", probe+", failures: 30")
	}
}

// A server closes every second connection. Its probes succeed as often as they fail, and users' sign-ins tell: they
// move to the other server, which takes them all. The server stays blocked until it is well each time.
func TestNightOfHalfAServer(t *testing.T) {
	testkit.NoLeaks(t)
	n := newNight(t, "wait: 10m")
	n.patient(t)
	r := n.serve(t, n.file)
	r.settled(t)
	r.quickUsers(t)
	c := newCrowd(t, r)
	c.in(t)
	began := time.Now()
	n.valves[0].set(fault{halves: true})
	r.eventually(t, users1+" turns", func() bool { return r.monitors(t)[users1].AlertValue == "Unhealthy" })
	since(t, began, users1+" turned")
	if m := r.monitors(t)[users1]; m.Dependency != "Networking" {
		t.Errorf("%+v", m)
	}
	r.eventually(t, "db1 has moved", func() bool { return r.mailbox.activeOn("db1") == "mbx2" })
	since(t, began, "db1 moved")
	c.in(t)
	const did, told = "ServerFailover/mbx1:Succeeded", "ServerFailover mbx1: db1 moved to mbx2; High Availability " +
		"of mbx1 is at fault"
	r.quickCopies(t)
	n.compare(t, r, did, told)
	if n.restarts() != "" || n.reboots() != "" || r.mailbox.activeOn("db2") != "mbx2" {
		t.Errorf("%s; %s; db2 is on %s", n.restarts(), n.reboots(), r.mailbox.activeOn("db2"))
	}
	if !r.mailbox.active.Blocked("mbx1") {
		t.Error("mbx1 is not blocked")
	}
	n.valves[0].set(fault{})
	mended := time.Now()
	r.eventually(t, "the block is lifted", func() bool { return !r.mailbox.active.Blocked("mbx1") })
	since(t, mended, "the block was lifted")
	n.compare(t, r, did+" AllowActivation/mbx1:Succeeded", told+"; High Availability of mbx1 is healthy again")
	c.in(t)
}

// quickCopies has the check of copies run each second, and its monitor take two failures for one.
func (r *running) quickCopies(t testing.TB) {
	t.Helper()
	r.asks(t, cli.StatusFine, "override", "add", "IMAP.Protocol/DatabaseCopyStatusCheck", "--property",
		"RecurrenceIntervalSeconds", "--value", "1")
	for property, value := range map[string]string{"MonitoringThreshold": "2", "UnhealthySeconds": "1"} {
		r.asks(t, cli.StatusFine, "override", "add", "IMAP.Protocol/DatabaseCopyStatusMonitor",
			"--item-type", "Monitor",
			"--property", property, "--value", value)
	}
}

// A server answers NO to each SELECT. Its database moves, and nobody wants to hear of that; but that no copy there can
// take over is a fault that lasts. People are told, the status of the copies says why, nothing moves there, and the
// end is told.
func TestNightOfAServerThatReadsNothing(t *testing.T) {
	testkit.NoLeaks(t)
	n := newNight(t, "wait: 10m")
	n.replace(t, "gather: 1s,", "gather: 1s, notices: false,")
	r := n.serve(t, n.file)
	r.settled(t)
	r.impatient(t)
	r.quickCopies(t)
	began := time.Now()
	n.valves[0].set(fault{answersNo: opens})
	r.eventually(t, "db1 has moved", func() bool { return r.mailbox.activeOn("db1") == "mbx2" })
	since(t, began, "db1 moved")
	const did, told = "ServerFailover/mbx1:Succeeded", "High Availability of mbx1 is at fault"
	n.compare(t, r, did, told)
	since(t, began, "alert sent")
	got := r.asks(t, cli.StatusFine, "database", "status", "-o", "wide")
	for copied, words := range map[string]string{"db1": "Failed",
		"db2": "blocked by health: the server stays blocked until db1 can be read there"} {
		for line := range strings.Lines(got) {
			if f := strings.Fields(line); f[0] == copied && f[1] == "mbx1" && !strings.Contains(line, words) {
				t.Errorf("no %q in %s", words, line)
			}
		}
	}
	if got := r.asks(t, cli.StatusFailed, "database", "move", "db2", "mbx1"); !strings.Contains(got,
		"activation on the server is blocked") {
		t.Error(got)
	}
	r.asks(t, cli.StatusBad, "server", "block", "mbx2", "--move")
	if r.mailbox.activeOn("db1") != "mbx2" || r.mailbox.activeOn("db2") != "mbx2" {
		t.Errorf("db1 is on %s, db2 on %s", r.mailbox.activeOn("db1"), r.mailbox.activeOn("db2"))
	}
	r.asks(t, cli.StatusFine, "server", "unblock", "mbx2")
	if n.restarts() != "" || n.reboots() != "" {
		t.Errorf("%s; %s", n.restarts(), n.reboots())
	}
	n.valves[0].set(fault{})
	r.eventually(t, "the block is lifted", func() bool { return !r.mailbox.active.Blocked("mbx1") })
	n.compare(t, r, did+" AllowActivation/mbx1:Succeeded", told) // nobody has said of the copy itself that it is well
	r.asks(t, cli.StatusFine, "database", "copy", "resume", "db1", "mbx1")
	n.compare(t, r, did+" AllowActivation/mbx1:Succeeded", told+"; High Availability of mbx1 is healthy again")
}

// A server refuses every second sign-in, for reasons of its own: another one takes sign-ins, so users move there, and
// no machine is restarted.
func TestNightOfHalfASignIn(t *testing.T) {
	testkit.NoLeaks(t)
	n := newNight(t, "wait: 10m")
	n.patient(t)
	r := n.serve(t, n.file)
	r.settled(t)
	r.quickUsers(t)
	c := newCrowd(t, r)
	c.in(t)
	n.valves[0].set(fault{halves: true, answersNo: "LOGIN"})
	r.eventually(t, users1+" turns", func() bool { return r.monitors(t)[users1].AlertValue == "Unhealthy" })
	if m := r.monitors(t)[users1]; m.Dependency != "Mailbox Server Authentication" {
		t.Errorf("%+v", m)
	}
	r.eventually(t, "db1 has moved", func() bool { return r.mailbox.activeOn("db1") == "mbx2" })
	c.in(t)
	n.compare(t, r, "ServerFailover/mbx1:Succeeded", "ServerFailover mbx1: db1 moved to mbx2")
	if n.restarts() != "" || n.reboots() != "" {
		t.Errorf("%s; %s", n.restarts(), n.reboots())
	}
}

// All servers refuse all sign-ins: who judges passwords for them is at fault. Nothing is done, and people are told
// once.
func TestNightOfAllPasswords(t *testing.T) {
	testkit.NoLeaks(t)
	n := newNight(t, "wait: 1s")
	r := n.serve(t, n.file)
	r.settled(t)
	r.impatient(t)
	r.quickUsers(t)
	c := newCrowd(t, r)
	c.in(t)
	for _, v := range n.valves {
		v.set(fault{answersNo: "LOGIN"})
	}
	r.turns(t, map[string]string{
		self1: "Authentication", self2: "Authentication", deep1: "Authentication", deep2: "Authentication",
		ctp1: "Authentication", ctp2: "Authentication",
		users1: "Authentication", users2: "Authentication",
	})
	const told = "Authentication of mbx1, mbx2 is at fault"
	n.compare(t, r, "", told)
	for _, v := range n.valves {
		v.set(fault{})
	}
	r.turns(t, nil)
	n.compare(t, r, "", told+"; Authentication of mbx1, mbx2 is healthy again")
	c.in(t)
}

// The server hangs up on one user each time, ten times a second. That is no fault of the server's for anybody else.
func TestNightOfABrokenUser(t *testing.T) {
	testkit.NoLeaks(t)
	n := newNight(t, "wait: 1s")
	r := n.serve(t, n.file)
	r.settled(t)
	r.quickUsers(t)
	c := newCrowd(t, r)
	c.in(t)
	for _, v := range n.valves {
		v.turn(fault{hangsUpOn: "ANNA"}) // nobody else's sign-in is broken off
	}
	failing := func() (runs int) { // of the check, that have counted failures
		for _, server := range []string{"mbx1", "mbx2"} {
			for _, result := range r.monitoring.engine.History(catalogue.SetIMAP,
				catalogue.ProxyConnectionsFailedGt20PercentCheck, server) {
				if result.Value > 0 {
					runs++
				}
			}
		}
		return runs
	}
	r.eventually(t, "sign-ins fail", func() bool { return failing() >= 10 })
	for name, m := range r.monitors(t) {
		if m.AlertValue != "Healthy" && m.AlertValue != "UnInitialized" {
			t.Errorf("%s: %+v", name, m)
		}
	}
	n.compare(t, r, "", "")
	answers := c.said()
	if len(answers) == 0 {
		t.Error("no sign-in was answered")
	}
	for _, answer := range answers {
		if !strings.HasPrefix(answer, "a NO [UNAVAILABLE]") {
			t.Error(answer)
		}
	}
}
