package node

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health"
)

// Each fault turns the monitors whose users it hits, which name what is at fault; nothing else turns; and all turn
// back.
func TestFaultsBehindTheProxy(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	r := w.serve(t, w.config(t, healthTimings))
	r.settled(t)
	valve := func(f fault) func() func() {
		return func() func() {
			w.valves[0].set(f)
			return func() { w.valves[0].set(fault{}) }
		}
	}
	for _, cell := range []struct {
		name  string
		begin func() (end func())
		want  map[string]string
	}{
		{"port closed", valve(fault{refuse: true}), map[string]string{self1: "Networking", deep1: "Networking",
			ctp1: "Networking"}},
		{"packets dropped", valve(fault{swallow: true}),
			map[string]string{self1: "Networking", deep1: "Networking", ctp1: "Networking"}},
		{"greeting but no login", valve(fault{deafTo: "LOGIN"}), map[string]string{
			self1: "Mailbox Server Authentication", deep1: "Mailbox Server Authentication",
			ctp1: "Mailbox Server Authentication",
		}},
		{"login but SELECT hangs", valve(fault{deafTo: opens}),
			map[string]string{deep1: "Information Store", ctp1: "Information Store"}},
		{"mailbox unreadable", func() func() {
			folder := filepath.Join(w.dovecots[0].Dir, "mail", "health1")
			if err := os.Rename(folder, folder+".away"); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(folder, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return func() {
				os.Remove(folder)
				os.Rename(folder+".away", folder)
			}
		}, map[string]string{deep1: "Information Store", ctp1: "Information Store"}},
		{"wrong password of the health mailboxes", func() func() {
			w.put(t, "health.password", "another\n")
			return func() { w.put(t, "health.password", "probe-it\n") }
		}, map[string]string{
			self1: "Authentication", self2: "Authentication", deep1: "Authentication", deep2: "Authentication",
			ctp1: "Authentication", ctp2: "Authentication",
		}},
	} {
		t.Run(strings.ReplaceAll(cell.name, " ", "_"), func(t *testing.T) {
			end := cell.begin()
			r.turns(t, cell.want)
			end()
			r.settled(t)
		})
	}
	// What a run by hand tells.
	w.valves[0].set(fault{deafTo: opens})
	got := r.asks(t, cli.StatusBad, "probe", "run", "IMAP.Protocol/ImapDeepTestProbe/db1", "--timeout", "300ms",
		"-o", "list")
	for _, words := range []string{
		"ResultType         : Timeout", "_Mbx               : mbx1", "Dependency         : Information Store",
		"Phase              : select", opens + "\n",
	} {
		if !strings.Contains(got, words) {
			t.Errorf("no %q in\n%s", words, got)
		}
	}
	w.valves[0].set(fault{})
	r.asks(t, cli.StatusFine, "probe", "run", `IMAP.Protocol\ImapSelfTestProbe`)
	r.asks(t, cli.StatusFine, "probe", "run", "IMAP.Protocol/ImapTestDeepProbe/db2")
	r.asks(t, cli.StatusFailed, "probe", "run", "IMAP.Protocol/ImapProxyTestProbe")
	w.put(t, "mine.password", "probe-it\n")
	r.asks(t, cli.StatusFine, "probe", "run", "IMAP/ImapCTPProbe/db2", "--account", "health2", "--password-file",
		filepath.Join(w.dir, "mine.password"))
	mine := []string{"--account", "health2", "--password-file", filepath.Join(w.dir, "mine.password")}
	front := r.clients.listeners.addresses()[1].String() // its certificate is nobody's that the system trusts
	if got := r.asks(t, cli.StatusBad,
		append([]string{"probe", "run", "IMAP/ImapCTPProbe/db2", "--endpoint", front, "-o", "list"},
			mine...)...); !strings.Contains(got, "Phase              : tls") {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusFailed, "probe", "run", "IMAP/ImapCTPProbe/db2", "--endpoint",
		front); !strings.Contains(got, "needs an account") {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusFailed,
		append([]string{"probe", "run", "IMAP.Protocol/ImapDeepTestProbe/db2", "--endpoint", front},
			mine...)...); !strings.Contains(got, "takes no endpoint") {
		t.Error(got)
	}
	for path, words := range map[string]string{"/selftest": `"result_type":"Succeeded"`,
		"/imap/healthcheck.htm": "200 OK", "/probes/IMAP/ImapCTPProbe": `"identity":"IMAP/ImapCTPProbe/db1"`} {
		if status, body := r.get(t, path); status != 200 || !strings.Contains(body, words) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// Faults of our own, and of what all mailbox servers have in common.
func TestFaultsOfTheFront(t *testing.T) {
	t.Run("directory_down", func(t *testing.T) {
		testkit.NoLeaks(t)
		w := newWatchedSite(t, nil)
		ln := testkit.Listen(t)
		ln.Close() // nobody answers there
		r := w.serve(t,
			w.config(t, healthTimings+
				fmt.Sprintf("directory: {sources: [{http: {urls: [\"http://%s/\"]}}], cache: {negative: 1ms}}\n",
					ln.Addr())))
		r.turns(t, map[string]string{ctp1: "Active Directory", ctp2: "Active Directory",
			proxyTest: "Active Directory"})
		r.nobodyActs(t, "IMAP/ImapCTPMonitor/db1", "IMAP/ImapCTPMonitor/db2", "IMAP.Proxy/ImapProxyTestMonitor")
		for _, ask := range []struct {
			status int
			args   []string
			words  string
		}{
			{cli.StatusBad, []string{"get", "--where", "$_.AlertValue -ne Healthy -and HealthSetName -like IMAP.*"},
				proxyTest},
			{cli.StatusFine, []string{"get", "ImapTestDeepMonitor"}, "ImapDeepTestMonitor"}, // as the seed has it
			{cli.StatusFine, []string{"get", "--where", "Name -eq ImapTestDeepMonitor -and TargetResource -eq db1"},
				"ImapDeepTestMonitor"},
			{cli.StatusBad, []string{"get", "ImapTestProxyMonitor"}, "ImapProxyTestMonitor"},
			{cli.StatusBad, []string{"get", "imap.proxy", "-o", "list"}, "Dependency : Active Directory"},
			{cli.StatusFailed, []string{"get", "--where", "HealtSetName -eq IMAP"}, "did you mean HealthSetName?"},
			{cli.StatusFailed, []string{"get", "--where", "AlertValue"}, "is not a condition"},
			{cli.StatusFailed, []string{"get", "--where", "AlertValue -is 3"}, "is not one of -eq"},
			{cli.StatusFailed, []string{"get", "POP"}, `there is no health set or monitor "POP"`},
		} {
			got := r.asks(t, ask.status, append([]string{"health"}, ask.args...)...)
			if !strings.Contains(strings.Join(strings.Fields(got), " "), ask.words) { // whatever the width of columns
				t.Errorf("%q: %s", ask.args, got)
			}
		}
	})
	t.Run("own_certificate_expired", func(t *testing.T) {
		testkit.NoLeaks(t)
		w := newWatchedSite(t, nil)
		cert, err := w.ca.Issue(backendtest.CertOptions{Hosts: []string{"localhost"},
			NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})
		if err == nil {
			_, _, err = cert.WriteFiles(w.dir, "mail")
		}
		if err != nil {
			t.Fatal(err)
		}
		r := w.serve(t, w.config(t, healthTimings))
		r.turns(t, map[string]string{ctp1: "Networking", ctp2: "Networking", proxyTest: "Networking"})
		if m := r.monitors(t)[proxyTest]; !strings.Contains(m.Error, "the certificate of this node has expired") {
			t.Errorf("it says %q", m.Error)
		}
		r.nobodyActs(t, "IMAP/ImapCTPMonitor/db1", "IMAP.Proxy/ImapProxyTestMonitor")
	})
	t.Run("master_credential_refused", func(t *testing.T) {
		testkit.NoLeaks(t)
		w := newWatchedSite(t, map[string]string{"portico": "right"})
		w.put(t, "master.password", "wrong\n")
		w.put(t, "passwords", "health1:"+probeHash+"\nhealth2:"+probeHash+"\n")
		r := w.serve(t,
			w.config(t, healthTimings+
				"signin: {mode: master, master: {user: portico, password_file: master.password}}\ndirectory: "+
				"{sources: [{rules: [{match: health1, database: db1}, {match: health2, database: db2}]}], verify: "+
				"[{file: passwords}]}\n"))
		const whose = "Mailbox Server Authentication"
		r.turns(t, map[string]string{self1: whose, self2: whose, deep1: whose, deep2: whose, ctp1: whose, ctp2: whose})
		r.nobodyActs(t, "IMAP.Protocol/ImapSelfTestMonitor/mbx1", "IMAP.Protocol/ImapDeepTestMonitor/db2",
			"IMAP/ImapCTPMonitor/db1")
	})
	t.Run("certificate_of_a_server", func(t *testing.T) {
		testkit.NoLeaks(t)
		w := newWatchedSite(t, nil)
		file := w.config(t, healthTimings)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(text), fmt.Sprintf("{address: %q, tls: none}", w.valves[0].ln.Addr()),
			fmt.Sprintf("{address: %q, tls: implicit, ca: ca.crt, server_name: other.example.org}", w.dovecots[0].TLS),
			1)
		w.put(t, "portico.yaml", changed)
		r := w.serve(t, file)
		r.turns(t, map[string]string{self1: "Networking", deep1: "Networking", ctp1: "Networking"})
		if m := r.monitors(t)[self1]; !strings.Contains(m.Error, "certificate") {
			t.Errorf("it says %q", m.Error)
		}
		// It is that server's fault alone, but there is no hook, and db1 has no other copy.
		r.nobodyActs(t, "IMAP.Protocol/ImapSelfTestMonitor/mbx1")
		if got := r.recovered(); got != "RestartService/mbx1:Skipped ServerFailover/mbx1:Skipped "+
			"ForceReboot/mbx1:Skipped" {
			t.Error(got)
		}
	})
}

// A full disk loses rows of the protocol log and nothing else: no monitor turns and nothing is recovered, mail goes
// on, and the log says what is wrong until there is room.
func TestFaultOfTheLogsDisk(t *testing.T) {
	dir, free := testkit.SmallDisk(t)
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	file := w.config(t, healthTimings)
	w.replace(t, "login_type: plain_text_login",
		fmt.Sprintf("login_type: plain_text_login, protocol_log_enabled: true, log_file_location: %q",
			filepath.Join(dir, "log")))
	r := w.serve(t, file)
	r.settled(t)
	c := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
	c.Expect("* OK *")
	c.Command("a", "LOGIN health1 probe-it")
	busy := func() { // a few rows alone may still find room
		for range 100 {
			c.Command("b", "NOOP")
		}
	}
	r.eventually(t, "the disk is full", func() bool {
		busy()
		return r.protocol.Status().Failing != ""
	})
	full := time.Now()
	r.eventually(t, "all probes have run since", func() bool {
		busy()
		return !slices.ContainsFunc(r.monitoring.engine.Probes(), func(p health.ProbeState) bool {
			return strings.HasSuffix(p.Name, "Probe") && (len(p.Results) == 0 || p.Results[0].Start.Before(full))
		})
	})
	r.turns(t, nil)
	r.eventually(t, "log status says so", func() bool {
		busy()
		status, _, got := command("log", "status", "--admin", filepath.Join(r.site.dir, "admin.sock"))
		return status == cli.StatusBad && strings.Contains(got, "The protocol log cannot be written since") &&
			strings.Contains(got, "no space left on device")
	})
	r.eventually(t, "a metric says so", func() bool {
		busy()
		_, metrics := r.get(t, "/metrics")
		return strings.Contains(metrics, "portico_protocol_log_failing 1")
	})
	c.Command("b", "NOOP")
	free()
	r.eventually(t, "rows are written again", func() bool {
		c.Command("b", "NOOP")
		return r.protocol.Status().Failing == ""
	})
	r.turns(t, nil)
	if got := r.recovered(); got != "" {
		t.Errorf("it did %s", got)
	}
}

// Commands that wait too long, or too many that wait, turn the monitors of their mailbox server, and no other's; and
// both turn back.
func TestFaultsOfCommands(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	r := w.serve(t, w.config(t, healthTimings+"  requests_queued: 2\n  average_command_time: 200ms\n"))
	r.settled(t)
	for _, check := range []string{"IMAP/RequestsQueuedGt500Check", "IMAP/AverageCommandProcessingTimeGt60sCheck"} {
		r.asks(t, cli.StatusFine, "override", "add", check, "--property", "RecurrenceIntervalSeconds", "--value", "1")
		monitor := strings.Replace(check, "Check", "Monitor", 1)
		r.asks(t, cli.StatusFine, "override", "add", monitor, "--item-type", "Monitor", "--property",
			"MonitoringThreshold", "--value", "2")
	}
	w.valves[0].set(fault{deafTo: "NOOP"})
	r.settled(t)
	waiting := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
	waiting.Expect("* OK *")
	waiting.Command("a", "LOGIN health1 probe-it")
	for _, tag := range []string{"b", "c", "d"} {
		waiting.Send(tag + " NOOP")
	}
	const queued, slow, overall = "RequestsQueuedGt500Monitor/mbx1", "AverageCommandProcessingTimeGt60sMonitor/mbx1",
		"RequestsQueuedGt500Monitor"
	want := map[string]bool{queued: true, slow: true, overall: true}
	r.eventually(t, "the monitors of commands turn", func() bool {
		for name, m := range r.monitors(t) {
			if !strings.Contains(name, "CTP") && want[name] != (m.AlertValue == "Degraded" ||
				m.AlertValue == "Unhealthy") {
				return false
			}
		}
		return true
	})
	if m := r.monitors(t)[slow]; m.Dependency != "Information Store" || m.Mailbox != "mbx1" {
		t.Errorf("%+v", m)
	}
	w.valves[0].set(fault{})
	waiting.Close()
	r.eventually(t, "they turn back", func() bool {
		c := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
		defer c.Close()
		c.Expect("* OK *")
		c.Command("a", "LOGIN health1 probe-it")
		c.Command("b", "NOOP")
		all := r.monitors(t)
		return all[queued].AlertValue == "Healthy" && all[slow].AlertValue == "Healthy" &&
			all[overall].AlertValue == "Healthy"
	})
}

// Without health mailboxes, servers have to answer, our own listener has to work, and databases are not looked into.
func TestHealthWithoutMailboxes(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	for _, probe := range []string{"IMAP.Protocol/ImapSelfTestProbe/mbx1", "IMAP.Proxy/ImapProxyTestProbe"} {
		if got := r.asks(t, cli.StatusFine, "probe", "run", probe, "-o", "list"); !strings.Contains(got,
			"ResultType         : Succeeded") {
			t.Error(got)
		}
	}
	r.asks(t, cli.StatusFailed, "probe", "run", "IMAP/ImapCTPProbe")
	r.asks(t, cli.StatusFailed, "probe", "run", "IMAP.Protocol/ImapSelfTestProbe", "--account", "alice")
	r.asks(t, cli.StatusFailed, "probe", "run", "ImapSelfTestProbe")
	if _, metrics := r.get(t, "/metrics"); !strings.Contains(metrics,
		`portico_monitor_state{health_set="IMAP.Proxy",monitor="ImapProxyTestMonitor",target=""}`) {
		t.Error("no metric of the monitor")
	}
}

// Overrides are in force at once, survive a restart, and end by themselves or by command; repairing is shown.
func TestOverrideCommands(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	file := site.write(t, "")
	r := site.serve(t, file)
	state := func() string {
		_, out, _ := command("health", "get", "ImapSelfTestMonitor", "--admin", filepath.Join(site.dir, "admin.sock"))
		return out
	}
	const probe = "IMAP.Protocol/ImapSelfTestProbe/mbx1"
	r.asks(t, cli.StatusFine, "override", "add", `IMAP.Protocol\ImapSelfTestProbe\mbx1`, "--property", "Enabled",
		"--value", "0")
	if got := state(); !strings.Contains(got, "Disabled") {
		t.Errorf("with the probe off:\n%s", got)
	}
	r.asks(t, cli.StatusFailed, "probe", "run", probe)
	r.asks(t, cli.StatusFine, "override", "add", "IMAP/RequestsQueuedGt500Monitor", "--item-type", "Monitor",
		"--property",
		"MonitoringThreshold", "--value", "7", "--duration", "1.00:00:00")
	// By other spellings of the same names.
	r.asks(t, cli.StatusFine, "override", "add", `IMAP.Protocol\ImapTestSelfMonitor\mbx1`, "--item-type", "Monitor",
		"--property", "MonitoringThreshold", "--value", "8")
	r.asks(t, cli.StatusFine, "override", "remove", "IMAP.Protocol/ImapTestSelfMonitor/mbx1", "--item-type", "Monitor",
		"--property", "MonitoringThreshold")
	for _, bad := range []struct {
		args  []string
		words string
	}{
		{[]string{"add", "imap/ImapCTPProbe", "--property", "Enabled", "--value", "0"},
			`there is no probe "imap/ImapCTPProbe"`},
		{[]string{"add", "IMAP.Protocol/imapselftestprobe", "--property", "Enabled", "--value", "0"},
			"did you mean IMAP.Protocol/ImapSelfTestProbe?"},
		{[]string{"add", probe, "--property", "Interval", "--value", "5"},
			"it has Enabled, RecurrenceIntervalSeconds, TimeoutSeconds"},
		{[]string{"add", probe, "--property", "Enabled", "--value", "0", "--duration", "1h", "--apply-version", "1"},
			"none of the others can be"},
		{[]string{"remove", "IMAP.Protocol/imapselftestprobe", "--property", "Enabled"},
			"did you mean IMAP.Protocol/ImapSelfTestProbe?"},
		{[]string{"remove", probe, "--property", "Interval"},
			"it has Enabled, RecurrenceIntervalSeconds, TimeoutSeconds"},
	} {
		if got := r.asks(t, cli.StatusFailed, append([]string{"override"}, bad.args...)...); !strings.Contains(got,
			bad.words) {
			t.Errorf("%q: %s", bad.args, got)
		}
	}
	if got := r.asks(t, cli.StatusFine, "override", "remove", probe, "--property",
		"TimeoutSeconds"); !strings.Contains(got, "nothing has changed") {
		t.Error(got)
	}
	r.signals <- os.Interrupt
	r.stopped(t)
	r = site.serve(t, file)
	if got := r.asks(t, cli.StatusFine, "override", "list"); !strings.Contains(got, probe+"  Probe     Enabled") ||
		strings.Count(got, "\n") != 3 {
		t.Errorf("after a restart:\n%s", got)
	}
	if got := state(); !strings.Contains(got, "Disabled") {
		t.Errorf("after a restart:\n%s", got)
	}
	r.asks(t, cli.StatusFine, "override", "remove", probe, "--property", "Enabled")
	testkit.Eventually(t, "the probe runs again", func() bool { return strings.Contains(state(), "Healthy") })
	r.asks(t, cli.StatusFine, "health", "repairing", "IMAP.Protocol/ImapSelfTestMonitor/mbx1")
	if got := state(); !strings.Contains(got, "Repairing") {
		t.Errorf("repairing:\n%s", got)
	}
	r.signals <- os.Interrupt
	r.stopped(t)
	r = site.serve(t, file)
	if got := state(); !strings.Contains(got, "Repairing") {
		t.Errorf("after a restart it is not repairing:\n%s", got)
	}
	r.asks(t, cli.StatusFine, "health", "repairing", "IMAP.Protocol/ImapTestSelfMonitor/mbx1", "--off")
	testkit.Eventually(t, "it is not repairing any more", func() bool { return strings.Contains(state(), "Healthy") })
	r.asks(t, cli.StatusFailed, "health", "repairing", "IMAP/Nothing")
}

// A node that is out of service says so to load balancers, keeps its sessions, and comes back when everybody who
// wanted it away lets it; a restart forgets nothing.
func TestComponentCommands(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	file := site.write(t, "")
	r := site.serve(t, file)
	live := r.signIn(t)
	state := func(want int, words string) {
		t.Helper()
		for _, path := range []string{"/readyz", "/imap/healthcheck.htm"} {
			if status, body := r.get(t, path); status != want || !strings.Contains(body, words) {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
	}
	state(200, "")
	r.asks(t, cli.StatusFine, "component", "set", "imapproxy", "--state", "inactive", "--requester", "HealthAPI")
	r.asks(t, cli.StatusFine, "component", "set", "ServerWideOffline", "--state", "Inactive", "--requester",
		"Maintenance")
	state(503, "Inactive")
	live.Command("b", "NOOP")
	if got := r.asks(t, cli.StatusBad, "component", "get", "ImapProxy"); !strings.Contains(got,
		"Inactive by HealthAPI since") || !strings.Contains(got, "Inactive by Maintenance since") {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusFine, "health", "report"); !strings.Contains(got, "Offline") {
		t.Error(got)
	}
	live.Close()
	r.signals <- os.Interrupt
	r.stopped(t)
	r = site.serve(t, file)
	state(503, "Inactive")
	r.asks(t, cli.StatusFine, "component", "set", "ServerWideOffline", "--state", "Active", "--requester",
		"Maintenance")
	state(503, "Inactive")
	r.asks(t, cli.StatusFine, "component", "set", "ImapProxy", "--state", "Active", "--requester", "HealthAPI")
	state(200, "")
	r.asks(t, cli.StatusFine, "component", "get")
	if got := r.asks(t, cli.StatusFailed, "component", "set", "ImapProxy", "--state", "Active", "--requester",
		"Me"); !strings.Contains(got, "there are HealthAPI, Maintenance") {
		t.Error(got)
	}
	r.asks(t, cli.StatusFailed, "component", "get", "Pop")
}
