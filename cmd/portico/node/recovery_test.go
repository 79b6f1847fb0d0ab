package node

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health/components"
	"portico/health/recovery"
)

// hook is a program for the configuration that notes what it is told, and its note.
func (s *site) hook(t testing.TB, name, more string) (key string, told func() string) {
	t.Helper()
	note := filepath.Join(s.dir, name+".note")
	s.put(t, name, "#!/bin/sh\necho \"$*\" >>"+note+"\n"+more+"\n")
	program := filepath.Join(s.dir, name)
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("{command: [%q]}", program), func() string {
		text, _ := os.ReadFile(note)
		return strings.TrimSpace(string(text))
	}
}

// impatient has monitors take a failure for one after a second.
func (r *running) impatient(t testing.TB) {
	t.Helper()
	for _, monitor := range []string{"IMAP.Protocol/ImapSelfTestMonitor", "IMAP.Protocol/ImapDeepTestMonitor",
		"IMAP/ImapCTPMonitor", "IMAP.Proxy/ImapProxyTestMonitor"} {
		r.asks(t, cli.StatusFine, "override", "add", monitor, "--item-type", "Monitor", "--property",
			"UnhealthySeconds",
			"--value", "1")
	}
}

// recovered is the recovery log, an entry a word.
func (r *running) recovered() string {
	var all []string
	for _, record := range r.recovery.responders.Records() {
		all = append(all, fmt.Sprintf("%s/%s:%s", record.ID, record.Resource, record.Result))
	}
	return strings.Join(all, " ")
}

// forPeople says whether a monitor is one that people are told about.
func (r *running) forPeople(id string) bool {
	for _, m := range r.monitoring.engine.Monitors() {
		if m.ID() == id {
			return m.Value.String() == "Unhealthy" && r.recovery.responders.ForPeople(m)
		}
	}
	return false
}

// nobodyActs waits until people are told about monitors, and looks that nothing was done before that.
func (r *running) nobodyActs(t testing.TB, ids ...string) {
	t.Helper()
	r.impatient(t)
	for _, id := range ids {
		r.eventually(t, "people are told about "+id, func() bool { return r.forPeople(id) })
	}
	for _, record := range r.recovery.responders.Records() {
		if record.ID != "Escalate" && record.Result != recovery.ResultSkipped {
			t.Errorf("it did %+v", record)
		}
	}
}

// A mailbox server that dies loses its service, its databases, its machine; its users are served by the other
// meanwhile; and when it is back, its block is gone and an operator's is not.
func TestRecoveryOfADeadServer(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	service, restarts := w.hook(t, "restart-service", "")
	machine, reboots := w.hook(t, "restart-server", "")
	file := w.config(t, healthTimings+"  recovery: {wait: 1s, restart_service: "+service+", restart_server: "+machine+
		", throttle: {restart_service: {group_between: 0s}}}\n")
	w.replace(t, "{db1: {copies: [mbx1]}", "{db1: {copies: [mbx1, mbx2]}")
	r := w.serve(t, file)
	r.settled(t)
	r.impatient(t)
	// An operator has work to do there too, and restarts the service of the other by hand.
	r.asks(t, cli.StatusFine, "server", "block", "mbx1")
	if got := r.asks(t, cli.StatusFine, "service", "restart", "mbx2"); !strings.Contains(got, "the hook has run") {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusBad, "service", "restart", "mbx2", "--machine"); !strings.Contains(got,
		"db2 is active there") {
		t.Error(got)
	}

	w.valves[0].set(fault{refuse: true})
	r.eventually(t, "people are told about mbx1",
		func() bool { return r.forPeople("IMAP.Protocol/ImapSelfTestMonitor/mbx1") })
	want := "RestartService/mbx2:Succeeded ForceReboot/mbx2:Skipped ServerFailover/mbx1:Succeeded " +
		"RestartService/mbx1:Succeeded ForceReboot/mbx1:Succeeded"
	if got := r.recovered(); got != want {
		t.Errorf("the log has %s", got)
	}
	if got := restarts() + "; " + reboots(); got != "restart mbx2\nrestart mbx1; restart mbx1" {
		t.Errorf("the hooks were told %q", got)
	}
	r.turns(t, map[string]string{self1: "Networking"})
	if got := r.asks(t, cli.StatusFine, "database", "status"); !strings.Contains(got, "db1       mbx2    Mounted") {
		t.Error(got)
	}
	for _, words := range []string{"Recovery has no step left", "IMAP.Protocol/ImapSelfTestMonitor/mbx1",
		"no step left", " done  ", "ServerFailover  mbx1          ImapSelfTestFailover", "db1 moved to mbx2"} {
		if got := r.asks(t, cli.StatusFine, "health", "recovery"); !strings.Contains(got, words) {
			t.Errorf("no %q in\n%s", words, got)
		}
	}
	t.Run("in 80 columns", func(t *testing.T) {
		t.Setenv("COLUMNS", "80")
		got := r.asks(t, cli.StatusFine, "health", "recovery")
		_, log, _ := strings.Cut(got, "\nStartTime")
		if !strings.Contains(log, " ServerFailover ") || !strings.Contains(log, " Succeeded ") ||
			!strings.Contains(log, "db1 moved to mbx2") {
			t.Error(got)
		}
	})
	if got := r.asks(t, cli.StatusBad, "server", "list", "-o", "list"); !strings.Contains(got,
		"BlockedFor      : IMAP.Protocol/ImapSelfTestMonitor/mbx1: it is Unhealthy\n") {
		t.Error(got)
	}
	w.valves[0].set(fault{})
	r.settled(t)
	r.eventually(t, "its own block is lifted",
		func() bool { return strings.HasSuffix(r.recovered(), "AllowActivation/mbx1:Succeeded") })
	if got := strings.Join(r.mailbox.active.BlockedBy("mbx1"), " "); got != "operator" {
		t.Errorf("mbx1 is blocked by %q", got)
	}
	if got := r.asks(t, cli.StatusFine, "health", "recovery", "-o", "list"); !strings.Contains(got,
		"RequestorName       : ImapSelfTestFailover") {
		t.Error(got)
	}
	if _, metrics := r.get(t, "/metrics"); !strings.Contains(metrics,
		`portico_recovery_actions_total{action="ServerFailover",result="Succeeded"} 1`) {
		t.Error("no metric of the failover")
	}
}

// A hook that helps ends the ladder at its first step.
func TestRecoveryThatHelps(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	service, restarts := w.hook(t, "restart-service", "")
	mail := filepath.Join(w.dir, "mail.note")
	r := w.serve(t, w.config(t, healthTimings+"  recovery: {wait: 1m, restart_service: "+service+"}\n"+
		fmt.Sprintf("  escalate: {mail: {command: [/bin/sh, -c, \"cat >>%s\"], to: ops@example.org}}\n", mail)))
	r.settled(t)
	r.impatient(t)
	w.valves[0].set(fault{deafTo: "LOGIN"})
	r.eventually(t, "the service is restarted", func() bool { return restarts() == "restart mbx1" })
	w.valves[0].set(fault{})
	r.settled(t)
	r.eventually(t, "nothing is to be recovered", func() bool { return len(r.recovery.responders.Ladders()) == 0 })
	if got := r.recovered(); got != "RestartService/mbx1:Succeeded" {
		t.Error(got)
	}
	r.eventually(t, "people hear of it", func() bool {
		text, _ := os.ReadFile(mail)
		return strings.Contains(string(text), "\nSubject: IMAP: RestartService mbx1: the hook has run (")
	})
}

// A server that refuses the passwords that another one takes is at fault itself, and no reboot mends that.
func TestRecoveryOfOneServersPasswords(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	service, restarts := w.hook(t, "restart-service", "")
	machine, reboots := w.hook(t, "restart-server", "")
	file := w.config(t, healthTimings+"  recovery: {wait: 1s, restart_service: "+service+", restart_server: "+
		machine+"}\n")
	w.replace(t, "{db1: {copies: [mbx1]}", "{db1: {copies: [mbx1, mbx2]}")
	r := w.serve(t, file)
	r.settled(t)
	r.impatient(t)
	users := filepath.Join(w.dovecots[0].Dir, "users")
	if err := os.WriteFile(users, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "db1 has moved", func() bool { return r.mailbox.activeOn("db1") == "mbx2" })
	r.eventually(t, "people are told about mbx1",
		func() bool { return r.forPeople("IMAP.Protocol/ImapSelfTestMonitor/mbx1") })
	r.turns(t, map[string]string{self1: "Mailbox Server Authentication"})
	want := "ServerFailover/mbx1:Succeeded RestartService/mbx1:Succeeded ForceReboot/mbx1:Skipped"
	if got := r.recovered(); got != want || restarts() != "restart mbx1" || reboots() != "" {
		t.Errorf("%s; %s; %s", got, restarts(), reboots())
	}
}

// deepTestMessages are the files of messages that ImapDeepTestProbe has left in db1's health mailbox.
func (w *watchedSite) deepTestMessages(t testing.TB) (files []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(w.dovecots[0].Dir, "mail", "health1", "Maildir", "???", "*"))
	if err != nil || len(all) == 0 {
		t.Fatalf("there is no mail: %v", err)
	}
	for _, file := range all {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), "Portico deep test") {
			files = append(files, file)
		}
	}
	return files
}

// A server whose mail volume is full can be read, and takes no mail: its users go to another one, nothing is
// restarted, and people are told.
func TestRecoveryOfAFullMailVolume(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	fill, free := testkit.SmallVolume(t, filepath.Join(w.dovecots[0].Dir, "mail", "health1"))
	service, restarts := w.hook(t, "restart-service", "")
	file := w.config(t, healthTimings+"  recovery: {wait: 1h, restart_service: "+service+", restart_server: "+
		service+"}\n")
	w.replace(t, "{db1: {copies: [mbx1]}", "{db1: {copies: [mbx1, mbx2]}")
	r := w.serve(t, file)
	r.settled(t)
	r.impatient(t)
	r.asks(t, cli.StatusFine, "server", "block", "mbx2")
	// A message that had no UID yet would keep Dovecot from opening the mailbox.
	w.valves[0].between(fill)
	r.turns(t, map[string]string{deep1: "Information Store"})
	got := r.asks(t, cli.StatusBad, "probe", "run", "IMAP.Protocol/ImapDeepTestProbe/db1", "-o", "list")
	if !strings.Contains(got, "Phase              : append") || !strings.Contains(got, "_Mbx               : mbx1") {
		t.Error(got)
	}
	r.eventually(t, "people are told", func() bool { return r.forPeople("IMAP.Protocol/ImapDeepTestMonitor/db1") })
	if got := r.recovered(); got != "RestartService/mbx1:Skipped ServerFailover/mbx1:Skipped "+
		"ForceReboot/mbx1:Skipped" || restarts() != "" {
		t.Errorf("%s; %s", got, restarts())
	}
	free()
	r.settled(t)
	r.asks(t, cli.StatusFine, "probe", "run", "IMAP.Protocol/ImapDeepTestProbe/db1")
	r.eventually(t, "the health mailbox has no message but that of a run in progress",
		func() bool { return len(w.deepTestMessages(t)) == 0 })

	// If mbx2 may have it, its users go there.
	r.asks(t, cli.StatusFine, "server", "unblock", "mbx2")
	fill()
	r.eventually(t, "db1 has moved", func() bool { return r.mailbox.activeOn("db1") == "mbx2" })
	r.settled(t)
	if restarts() != "" {
		t.Error(restarts())
	}
}

// A server with another certificate than its own keeps its service and its machine. Its users go to another one, and
// people are told at once.
func TestRecoveryOfACertificate(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	service, restarts := w.hook(t, "restart-service", "")
	file := w.config(t, healthTimings+"  recovery: {wait: 1h, restart_service: "+service+", restart_server: "+
		service+"}\n")
	w.replace(t, "{db1: {copies: [mbx1]}", "{db1: {copies: [mbx1, mbx2]}")
	w.replace(t, fmt.Sprintf("{address: %q, tls: none}", w.valves[0].ln.Addr()),
		fmt.Sprintf("{address: %q, tls: starttls, ca: ca.crt}", w.valves[0].ln.Addr()))
	cert, err := w.ca.Issue(backendtest.CertOptions{Hosts: []string{"other.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	other := testkit.Dovecot(t, backendtest.DovecotOptions{Certificate: cert})
	r := w.serve(t, file)
	r.settled(t)
	r.impatient(t)
	w.valves[0].set(fault{to: other.Plain})
	r.eventually(t, "db1 has moved", func() bool { return r.mailbox.activeOn("db1") == "mbx2" })
	r.eventually(t, "people are told about mbx1",
		func() bool { return r.forPeople("IMAP.Protocol/ImapSelfTestMonitor/mbx1") })
	r.turns(t, map[string]string{self1: "Networking"})
	const did = "ServerFailover/mbx1:Succeeded RestartService/mbx1:Skipped ForceReboot/mbx1:Skipped"
	r.eventually(t, "the rest is skipped", func() bool { return r.recovered() == did })
	if restarts() != "" {
		t.Error(restarts())
	}
}

// What is everybody's fault, or no server's, is acted upon by nobody.
func TestRecoveryOfWhatIsCommon(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	service, restarts := w.hook(t, "restart-service", "")
	r := w.serve(t, w.config(t, healthTimings+"  recovery: {wait: 1s, restart_service: "+service+"}\n"))
	r.settled(t)
	r.impatient(t)
	w.put(t, "health.password", "another\n")
	for _, id := range []string{"IMAP.Protocol/ImapSelfTestMonitor/mbx1", "IMAP.Protocol/ImapDeepTestMonitor/db2",
		"IMAP/ImapCTPMonitor/db1"} {
		r.eventually(t, "people are told about "+id, func() bool { return r.forPeople(id) })
	}
	if got := r.asks(t, cli.StatusFine, "health", "recovery"); r.recovered() != "" || restarts() != "" ||
		!strings.Contains(got, "a common cause is likely") {
		t.Errorf("%s; %s\n%s", r.recovered(), restarts(), got)
	}
	w.put(t, "health.password", "probe-it\n")
	r.settled(t)
}

// A database that fails alone moves alone, and the protocol log is on for its probe while it fails end to end.
func TestRecoveryOfOneDatabase(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	service, restarts := w.hook(t, "restart-service", "")
	file := w.config(t, healthTimings+"  recovery: {wait: 2s, restart_service: "+service+"}\n")
	w.replace(t, "{db1: {copies: [mbx1]}, db2: {copies: [mbx2]}}",
		"{db1: {copies: [mbx1, mbx2]}, db2: {copies: [mbx1]}}")
	r := w.serve(t, file)
	r.settled(t)
	r.impatient(t)
	folder := filepath.Join(w.dovecots[0].Dir, "mail", "health1")
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "db1 has moved", func() bool { return r.mailbox.activeOn("db1") == "mbx2" })
	r.settled(t)
	if got := r.recovered(); got != "ServerFailover/db1:Succeeded" || restarts() != "" ||
		r.mailbox.activeOn("db2") != "mbx1" || r.mailbox.active.Blocked("mbx1") {
		t.Errorf("%s; %s", got, restarts())
	}
}

// A restarted front end takes clients as before, with its certificates read again, and its sessions go on.
func TestFrontEndRestart(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	live := r.signIn(t)
	before := r.clients.listeners.addresses()[1].String()
	if got := r.asks(t, cli.StatusFine, "service", "restart"); !strings.Contains(got,
		"RestartFrontEnd  ImapProxy  Succeeded  front end restarted; open sessions continue") {
		t.Error(got)
	}
	live.Command("b", "NOOP")
	live.Close()
	r.signIn(t).Close()
	if got := r.clients.listeners.addresses()[1].String(); got != before ||
		strings.Count(r.log.String(), `"message":"listening"`) != 4 {
		t.Errorf("at %s, before %s", got, before)
	}
	if got := r.asks(t, cli.StatusFine, "service", "status"); !strings.HasPrefix(got, "ready\nlisteners: ok") {
		t.Error(got)
	}
	r.asks(t, cli.StatusFine, "component", "set", "ImapProxy", "--state", "Inactive", "--requester", "Maintenance")
	if got := r.asks(t, cli.StatusBad, "service", "status"); !strings.HasPrefix(got, "not ready") {
		t.Error(got)
	}
	r.asks(t, cli.StatusFailed, "service", "restart", "mbx9")
	r.asks(t, cli.StatusFailed, "service", "restart", "--machine")
	if got := r.recovered(); got != "RestartFrontEnd/ImapProxy:Succeeded" {
		t.Error(got)
	}
}

// The front end takes itself out of service when it is at fault and cannot be helped, and back in.
func TestRecoveryOfTheFrontEnd(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	r := w.serve(t, w.config(t, healthTimings+"  recovery: {wait: 2s}\n"))
	r.settled(t)
	r.impatient(t)
	r.clients.server.StopServing(r.clients.listeners.open[0].socket)
	r.clients.server.StopServing(r.clients.listeners.open[1].socket)
	r.eventually(t, "the listeners are opened again",
		func() bool { return r.recovered() == string("RestartFrontEnd/ImapProxy:"+recovery.ResultSucceeded) })
	r.settled(t)
}

// A port that somebody else has taken is no port of ours: the front end goes out of service and people are told; when
// the port is free it is taken back by itself.
func TestRecoveryOfATakenPort(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	r := w.serve(t, w.config(t, healthTimings+"  recovery: {wait: 1s}\n"))
	r.settled(t)
	r.impatient(t)
	var others []net.Listener
	for i, ln := range r.clients.listeners.open {
		r.clients.server.StopServing(ln.socket)
		other, err := net.Listen("tcp", r.clients.listeners.addresses()[i].String())
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, other)
		go func() {
			for {
				conn, err := other.Accept()
				if err != nil {
					return
				}
				io.WriteString(conn, "SSH-2.0-other\r\n")
				conn.Close()
			}
		}()
	}
	r.eventually(t, "people are told", func() bool { return r.forPeople("IMAP.Proxy/ImapProxyTestMonitor") })
	r.turns(t, map[string]string{ctp1: "Networking", ctp2: "Networking", proxyTest: "Networking"})
	if got := r.recovered(); got != "RestartFrontEnd/ImapProxy:Failed TakeComponentOffline/ImapProxy:Succeeded" {
		t.Errorf("the log has %s", got)
	}
	if status, body := r.get(t, "/readyz"); status != 503 || !strings.Contains(body, "probes: IMAP.Proxy is Un") {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if got := r.asks(t, cli.StatusFine, "health", "recovery", "-o", "list"); !strings.Contains(got,
		"address already in use; will retry") {
		t.Error(got)
	}
	for _, other := range others {
		other.Close()
	}
	r.settled(t)
	r.eventually(t, "it is in service again",
		func() bool { return r.components.set.State(components.ImapProxy) == components.Active })
	c := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
	c.Expect("* OK *")
	c.Command("a", "LOGIN health1 probe-it")
	c.Close()
}

// A process that is killed while a hook runs is followed by one that goes on behind that step, and does not do it
// again.
func TestKilledWhileItRecovers(t *testing.T) {
	w := newWatchedSite(t, nil)
	service, restarts := w.hook(t, "restart-service", "exec sleep 3")
	file := w.config(t, healthTimings+"  recovery: {wait: 1s, restart_service: "+service+"}\n")
	w.replace(t, "{db1: {copies: [mbx1]}", "{db1: {copies: [mbx1, mbx2]}")
	r := w.serve(t, file)
	r.settled(t)
	r.impatient(t)
	r.signals <- syscall.SIGTERM
	r.stopped(t)
	w.valves[0].set(fault{refuse: true})
	cmd := testkit.Program(t, "serve", "--config", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "the hook runs", func() bool { return restarts() != "" })
	cmd.Process.Kill()
	cmd.Wait()
	r = w.serve(t, file)
	r.eventually(t, "the next step",
		func() bool { return strings.Contains(r.recovered(), "ForceReboot/mbx1:Skipped") })
	const did = "ServerFailover/mbx1:Succeeded RestartService/mbx1:Interrupted ForceReboot/mbx1:Skipped"
	if got := r.recovered(); !strings.HasPrefix(got, did) || restarts() != "restart mbx1" {
		t.Errorf("%s; %s", got, restarts())
	}
	w.valves[0].set(fault{})
}
