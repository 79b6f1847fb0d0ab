package node

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health/admin"
)

// valve stands in front of a mailbox server and lets faults in.
type valve struct {
	ln   net.Listener
	to   string
	gate sync.RWMutex // read-locked by each connection

	mu    sync.Mutex
	fault fault
	open  map[net.Conn]bool
	taken int // connections
}

// opens is in the lines by which probes open a health mailbox: EXAMINE, or SELECT where they write to it.
const opens = " INBOX"

// fault is what a valve does to connections from now on.
type fault struct {
	refuse  bool   // close them at once
	swallow bool   // take them and say nothing
	to      string // pass them on to another server, "" for the valve's own
	deafTo  string // pass nothing on from a line of the client on that has this in it

	hangsUpOn string // close them at such a line
	halves    bool   // do so to every second one alone; close it at once if there is nothing else to do
	answersNo string // answer NO to a line of the client that has this in it
}

func newValve(t testing.TB, to string) *valve {
	v := &valve{ln: testkit.Listen(t), to: to, open: make(map[net.Conn]bool)}
	t.Cleanup(func() { v.set(fault{refuse: true}) })
	go func() {
		for {
			conn, err := v.ln.Accept()
			if err != nil {
				return
			}
			go v.pass(conn)
		}
	}()
	return v
}

// set changes what is done, and ends the connections there are.
func (v *valve) set(f fault) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fault = f
	for conn := range v.open {
		conn.Close()
	}
}

// turn changes what is done with connections from now on. Those there are go on as they were.
func (v *valve) turn(f fault) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fault = f
}

// between runs f while no connection is open: those there are end by themselves first, and new ones wait.
func (v *valve) between(f func()) {
	v.gate.Lock()
	defer v.gate.Unlock()
	f()
}

func (v *valve) pass(conn net.Conn) {
	defer conn.Close()
	v.gate.RLock()
	defer v.gate.RUnlock()
	v.mu.Lock()
	f := v.fault
	v.open[conn] = true
	v.taken++
	switch {
	case f.halves && v.taken%2 == 1:
		f = fault{}
	case f == fault{halves: true}:
		f.refuse = true
	}
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.open, conn)
	}()
	if f.refuse {
		return
	}
	if f.swallow {
		io.Copy(io.Discard, conn)
		return
	}
	server, err := net.Dial("tcp", cmp.Or(f.to, v.to))
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(struct{ io.Writer }{conn}, server) // no splicing: its pipes would be left behind
		conn.Close()
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buf)
		if f.hangsUpOn != "" && strings.Contains(strings.ToUpper(string(buf[:n])), f.hangsUpOn) {
			return
		}
		if line := string(buf[:n]); f.answersNo != "" && strings.Contains(strings.ToUpper(line), f.answersNo) {
			tag, _, _ := strings.Cut(line, " ")
			fmt.Fprintf(conn, "%s NO [SERVERBUG] Internal error.\r\n", tag)
			continue
		}
		if f.deafTo != "" && strings.Contains(strings.ToUpper(string(buf[:n])), f.deafTo) {
			io.Copy(io.Discard, conn)
			return
		}
		if _, werr := server.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// watchedSite is two Dovecots with a database each, behind valves, and a Portico that looks at them each second.
type watchedSite struct {
	*site
	dovecots [2]*backendtest.Dovecot
	valves   [2]*valve
}

const healthMailboxes = `settings: {login_type: plain_text_login}
health:
  mailboxes: {db1: {user: health1, password_file: health.password}, db2: {user: health2, password_file: health.password}}
  flapping: {changes: 0}
`

// healthTimings are for probes that look often. A busy machine does not take as long as they wait.
const healthTimings = healthMailboxes + `  self_test: {interval: 1s, timeout: 5s, failures: 2}
  deep_test: {interval: 1s, timeout: 5s, failures: 2}
  proxy_test: {interval: 1s, timeout: 5s, failures: 2}
  ctp: {interval: 1s, timeout: 6s, failures: 2}
`

func newWatchedSite(t testing.TB, masters map[string]string) *watchedSite {
	t.Helper()
	testkit.Need(t, "dovecot")
	w := &watchedSite{site: newSite(t)}
	for i := range w.dovecots {
		cert, err := w.ca.Issue(backendtest.CertOptions{Hosts: []string{"127.0.0.1"}})
		if err != nil {
			t.Fatal(err)
		}
		w.dovecots[i] = testkit.Dovecot(t, backendtest.DovecotOptions{Certificate: cert, Masters: masters,
			QuickFailures: true, Users: []backendtest.User{
				{Name: "health1", Password: "probe-it", Mail: backendtest.DemoMail("health", "mbx", time.Now())},
				{Name: "health2", Password: "probe-it", Mail: backendtest.DemoMail("health", "mbx", time.Now())},
				{Name: "anna", Password: "secret"}, {Name: "bert", Password: "secret"},
				{Name: "cleo", Password: "secret"},
				{Name: "dora", Password: "secret"},
				{Name: "emil", Password: "secret"}, {Name: "finn", Password: "secret"},
				{Name: "gina", Password: "secret"},
				{Name: "hugo", Password: "secret"},
			}})
		w.valves[i] = newValve(t, w.dovecots[i].Plain)
	}
	w.put(t, "health.password", "probe-it\n")
	w.put(t, "ca.crt", string(w.ca.CertPEM))
	return w
}

// config is a configuration of the site: the servers behind their valves, and more.
func (w *watchedSite) config(t testing.TB, more string) string {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, `listeners: [{address: "127.0.0.1:0", tls: starttls}, {address: "localhost:0", tls: implicit}]
tls: {certificates: [{cert: mail.crt, key: mail.key}]}
admin: {socket: admin.sock, address: ""}
mailbox_servers: {mbx1: {address: %q, tls: none}, mbx2: {address: %q, tls: none}}
databases: {db1: {copies: [mbx1]}, db2: {copies: [mbx2]}}
data_dir: data
penalties: {first: 0s}
breaker: {failures: 0}
log: {level: warn}
%s`, w.valves[0].ln.Addr(), w.valves[1].ln.Addr(), more)
	if !strings.Contains(more, "directory:") {
		text.WriteString("routing: hash\n")
	}
	w.put(t, "portico.yaml", text.String())
	return filepath.Join(w.dir, "portico.yaml")
}

// monitors returns the state of each monitor, by name and target.
func (r *running) monitors(t testing.TB) map[string]admin.MonitorRow {
	t.Helper()
	_, out, _ := command("health", "get", "-o", "json", "--admin", filepath.Join(r.site.dir, "admin.sock"))
	var rows []admin.MonitorRow
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	all := make(map[string]admin.MonitorRow)
	for _, row := range rows {
		name := row.Name
		if row.TargetResource != "" {
			name += "/" + row.TargetResource
		}
		all[name] = row
	}
	return all
}

// probeHash is that of the health mailboxes' password.
const probeHash = "$6$abcdefgh$eXtd0rxW/fZiBwR8OFOdIkphmAXdXr7iOR0Q73uHEFKr3OgruIJW3086vrzsJVNf5g3/5bGfEmr2xxRuDHrAw0"

// The monitors of a watched site.
const (
	self1, self2 = "ImapSelfTestMonitor/mbx1", "ImapSelfTestMonitor/mbx2"
	deep1, deep2 = "ImapDeepTestMonitor/db1", "ImapDeepTestMonitor/db2"
	ctp1, ctp2   = "ImapCTPMonitor/db1", "ImapCTPMonitor/db2"
	proxyTest    = "ImapProxyTestMonitor"
)

var allMonitors = []string{self1, self2, deep1, deep2, ctp1, ctp2, proxyTest}

// turns waits until exactly these monitors fail, and each blames what is said.
func (r *running) turns(t testing.TB, want map[string]string) {
	t.Helper()
	r.eventually(t, fmt.Sprintf("the monitors that fail are %v", want), func() bool {
		for name, m := range r.monitors(t) {
			dependency, bad := want[name]
			fails := m.AlertValue == "Degraded" || m.AlertValue == "Unhealthy"
			if bad != fails || bad && m.Dependency != dependency {
				return false
			}
		}
		return true
	})
	status := cli.StatusFine
	if len(want) > 0 {
		status = cli.StatusBad
	}
	r.asks(t, status, "health", "report")
}

// eventually is testkit.Eventually, with the monitors told if it fails.
func (r *running) eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(testkit.Patience); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			for name, m := range r.monitors(t) {
				t.Logf("%s is %s, blames %q: %s", name, m.AlertValue, m.Dependency, m.Error)
			}
			t.Fatalf("not so in %v: %s", testkit.Patience, what)
		}
	}
}

// settled waits until all monitors are healthy.
func (r *running) settled(t testing.TB) {
	t.Helper()
	r.eventually(t, "all monitors are healthy", func() bool {
		all := r.monitors(t)
		for _, name := range allMonitors {
			if all[name].AlertValue != "Healthy" {
				return false
			}
		}
		return true
	})
}
