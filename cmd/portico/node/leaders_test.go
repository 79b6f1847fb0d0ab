//go:build unix

package node

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/configs/store"
	"portico/configs/store/etcdstore"
	"portico/health/admin"
	"portico/health/recovery"
	"portico/sleep"
)

// suspendedLeaders is how many leaders are suspended in each way; see soak-cluster in the Makefile.
var suspendedLeaders = flag.Int("suspended-leaders", 0, "how many leaders to suspend between two steps, in a step, "+
	"and in a step until the others go on without them, which takes five minutes each")

// How a leader is suspended.
const (
	betweenSteps = iota
	inStep       // until another node leads
	afterStep    // in a step, until another node goes on without it
	suspensions
)

// leaders are three nodes, each a process of its own, one of which looks after two mailbox servers.
type leaders struct {
	t     *testing.T
	w     *watchedSite
	nodes []*leaderProcess
	trap  string                   // if there is this file, the next restart of a service suspends who has asked for it
	did   map[string]func() string // what the hooks were called with, by step
	store store.Store
}

// leaderProcess is a node that may lead.
type leaderProcess struct {
	*running // without the service, which is in another process
	name     string
	process  *os.Process
}

// startLeaders starts the nodes. The first step of a ladder is restart-service, the second restart-server.
func startLeaders(t *testing.T) *leaders {
	t.Helper()
	w := newWatchedSite(t, nil)
	l := &leaders{t: t, w: w, trap: filepath.Join(w.dir, "trap"), did: make(map[string]func() string)}
	etcd := testkit.Etcd(t, 1)
	const always = "{between: 0s, in_an_hour: -1, in_a_day: -1, group_between: 0s, group_in_a_day: -1}"
	text := healthTimings + `  recovery:
    wait: 10s
    ladders: {self_test: [restart_service, restart_server, escalate]}
    throttle: {restart_service: ` + always + ", restart_server: " + always + "}\n"
	for step, more := range map[string]string{"restart_service": "rm " + l.trap + " && kill -STOP $PPID",
		"restart_server": ""} {
		hook, did := w.hook(t, step, more+"\nexit 0")
		text += "    " + step + ": " + hook + "\n"
		l.did[step] = did
	}
	var err error
	if l.store, err = etcdstore.Open(t.Context(), etcdstore.Options{Endpoints: []string{"http://" + etcd[0].Address},
		Prefix: "/portico"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.store.Close() })
	for i := range 3 {
		name := fmt.Sprint("mx", i+1)
		of := &watchedSite{site: &site{dir: t.TempDir(), ca: w.ca}, dovecots: w.dovecots, valves: w.valves}
		of.certificate(t, "mail", "localhost", "127.0.0.1")
		of.put(t, "health.password", "probe-it\n")
		of.put(t, "secret", strings.Repeat("s", 40)+"\n")
		file := of.config(t, text+fmt.Sprintf(
			"cluster: {name: %s, secret_file: secret, etcd: {endpoints: [\"http://%s\"]}}\n", name, etcd[0].Address))
		of.replace(t, "db1: {copies: [mbx1]}", "db1: {copies: [mbx2, mbx1]}") // a server in use is not restarted
		if i == 0 {
			var out strings.Builder
			if cli.Run([]string{"cluster", "init", "-c", file}, &out, &out, cli.Node{}) != cli.StatusFine {
				t.Fatal(out.String())
			}
		}
		l.start(name, of.site, file)
	}
	return l
}

// start starts a node's process, which ends with the test.
func (l *leaders) start(name string, of *site, file string) {
	l.t.Helper()
	program, log := testkit.Program(l.t, "serve", "--config", file), &testkit.Log{}
	cmd := exec.Command(program.Path, program.Args[1:]...) // which lives for longer than a test's patience
	cmd.Env, cmd.Stderr = program.Env, log
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if l.t.Failed() {
			l.t.Logf("log of %s:\n%s", name, log)
		}
	})
	l.nodes = append(l.nodes, &leaderProcess{&running{site: of}, name, cmd.Process})
}

// read reads what a command prints as JSON. It returns false if the node does not answer.
func (n *leaderProcess) read(into any, args ...string) bool {
	_, out, _ := command(append(args, "-o", "json", "--admin", filepath.Join(n.site.dir, "admin.sock"))...)
	return json.Unmarshal([]byte(out), into) == nil
}

// leads returns the name of the leader as a node sees it, "" if there is none, or another node is absent.
func (n *leaderProcess) leads() string {
	var state admin.ClusterState
	if !n.read(&state, "cluster", "status") {
		return ""
	}
	for _, other := range state.Nodes {
		if other.State != admin.NodePresent {
			return ""
		}
	}
	return state.Leader
}

// settles waits until all nodes agree that nothing fails, and on who leads. It returns the leader, and another node.
func (l *leaders) settles() (first, other *leaderProcess) {
	l.t.Helper()
	for _, n := range l.nodes {
		n.settled(l.t)
		testkit.Eventually(l.t, n.name+" has nothing to recover", func() bool {
			var state admin.RecoveryState
			return n.read(&state, "health", "recovery") && len(state.Ladders) == 0
		})
	}
	testkit.Eventually(l.t, "all nodes see one leader", func() bool {
		name := l.nodes[0].leads()
		for i, n := range l.nodes {
			if name == "" || n.leads() != name {
				return false
			}
			if n.name == name {
				first, other = n, l.nodes[(i+1)%len(l.nodes)]
			}
		}
		return true
	})
	return first, other
}

// steps counts how often a hook was called.
func (l *leaders) steps(step string) int { return strings.Count(l.did[step](), "restart mbx1") }

// A leader that is suspended between two steps of a ladder, or in one, takes itself for the leader when it goes on.
// Another one leads by then. Each step is begun once.
func TestTwoLeaders(t *testing.T) {
	if *suspendedLeaders == 0 {
		t.Skip("make soak-cluster runs this test")
	}
	l := startLeaders(t)
	for _, n := range l.nodes {
		testkit.Eventually(t, n.name+" has started", func() bool {
			return n.read(new(admin.ClusterState), "cluster", "status")
		})
	}
	l.nodes[0].impatient(t) // and by the store, all of them
	for faults := 1; faults <= suspensions**suspendedLeaders; faults++ {
		l.suspendLeader(faults % suspensions)
		l.settles()
		for step := range l.did {
			if n := l.steps(step); n != faults {
				t.Fatalf("%d faults, and %s was begun %d times", faults, step, n)
			}
		}
		t.Logf("%d faults, and each step was begun so often", faults)
	}
}

// suspendLeader has a server fail, suspends the leader, and lets it go on when another one leads.
func (l *leaders) suspendLeader(how int) {
	l.t.Helper()
	first, other := l.settles()
	before := l.steps("restart_server")
	if how != betweenSteps {
		l.w.put(l.t, filepath.Base(l.trap), "")
	}
	l.w.valves[0].set(fault{refuse: true})
	testkit.Eventually(l.t, "the first step begins", func() bool { return l.steps("restart_service") == before+1 })
	switch how {
	case betweenSteps:
		testkit.Eventually(l.t, "the first step is over, and nobody acts", func() bool {
			var state admin.RecoveryState
			_, err := l.store.Get(l.t.Context(), "health/recovery/acting")
			return errors.Is(err, store.ErrNotFound) && other.read(&state, "health", "recovery") &&
				len(state.Records) > 0 && state.Records[0].State == recovery.Finished
		})
		first.process.Signal(syscall.SIGSTOP)
	case inStep:
		testkit.Eventually(l.t, "another node leads", func() bool {
			var state admin.ClusterState
			return other.read(&state, "cluster", "status") && state.Leader != "" && state.Leader != first.name
		})
		first.process.Signal(syscall.SIGCONT)
	}
	for until := time.Now().Add(recovery.StepTime + testkit.Patience); l.steps("restart_server") == before; {
		if sleep.For(l.t.Context(), 100*time.Millisecond); time.Now().After(until) {
			_, out, _ := command("health", "recovery", "--admin", filepath.Join(other.site.dir, "admin.sock"))
			l.t.Fatalf("the second step does not begin: %s", out)
		}
	}
	first.process.Signal(syscall.SIGCONT)
	testkit.Eventually(l.t, "the one that was suspended sees another leader", func() bool {
		name := first.leads()
		return name != "" && name != first.name && name == other.leads()
	})
	l.w.valves[0].set(fault{})
}
