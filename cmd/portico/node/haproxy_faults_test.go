//go:build unix

package node

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/configs/store/etcdstore"
	"portico/health/admin"
	"portico/health/recovery"
)

// How large the test of a site is; see soak-site in the Makefile.
var (
	siteClients   = flag.Int("site-clients", 0, "clients that stay signed in; without any, the test is skipped")
	siteRate      = flag.Int("site-rate", 5, "sign-ins a second beside them")
	siteAway      = flag.Duration("site-away", 0, "how long etcd is away under load, twice; 0 until it is missed")
	siteSessions  = flag.Int("site-sessions", 200, "sessions of portico bench that stay open meanwhile")
	siteSuspended = flag.Duration("site-suspended", 0, "how long a node is suspended; 0 until others wait for it")
)

// Of each thing that fails in a site, those notice who have to, and nobody else; then the site is whole again.
func TestSiteBehindHAProxy(t *testing.T) {
	if *siteClients == 0 {
		t.Skip("make soak-site runs this test")
	}
	d := startDeployment(t)
	d.whole(t)
	d.connect(t, *siteClients)
	for _, fault := range []struct {
		what string
		run  func(*deployment, *testing.T)
	}{
		{"a second machine with the name of a node", (*deployment).sameName},
		{"a node is upgraded", (*deployment).upgradeNode},
		{"etcd is killed", func(d *deployment, t *testing.T) { d.etcdAway(t, d.etcd.Kill, d.startEtcd) }},
		{"etcd is suspended", func(d *deployment, t *testing.T) { d.etcdAway(t, d.etcd.Freeze, d.etcd.Thaw) }},
		{"a node is suspended", (*deployment).suspendNode},
		{"a node is killed", (*deployment).killNode},
		{"a mailbox server is killed", (*deployment).killServer},
	} {
		if !t.Run(fault.what, func(t *testing.T) {
			fault.run(d, t)
			d.allSignedIn(t)
			d.whole(t)
		}) {
			return
		}
	}
}

func (d *deployment) startEtcd() error { return d.etcd.Start(context.Background()) }

// nobodyCut fails the test if a session has ended.
func nobodyCut(t *testing.T, cut func() []admin.SessionState) {
	t.Helper()
	if got := cut(); len(got) > 0 {
		t.Errorf("%d sessions were cut", len(got))
	}
}

// signIns has clients come and go, all of whom must be served until end.
func (d *deployment) signIns() *storm {
	s := &storm{address: d.plain, stop: make(chan struct{})}
	s.begin(*siteRate)
	return s
}

// moves moves a database to the server where it is not active, and looks that all its sessions are there then.
func (d *deployment) moves(t *testing.T, node int, database string) {
	t.Helper()
	cut, to := d.cutSince(t), d.elsewhere(t, node, database)
	d.nodes[node].run(t, cli.StatusFine, "database", "move", database, to)
	d.movedTo(t, database, to)
	for _, s := range cut() {
		if s.Database != database {
			t.Errorf("a session in %s was cut", s.Database)
		}
	}
}

// movedTo waits until the users of a database are in again, and looks where.
func (d *deployment) movedTo(t *testing.T, database, server string) {
	t.Helper()
	d.allSignedIn(t)
	testkit.Eventually(t, "all are listed", func() bool { return len(d.sessions(t)) == len(d.clients) })
	for _, s := range d.sessions(t) {
		if s.Database == database && s.Server != server {
			t.Errorf("%s of %s is on %s", s.User, database, s.Server)
		}
	}
}

// activeOn is where a database is active, as a node sees it.
func (d *deployment) activeOn(t *testing.T, node int, database string) string {
	t.Helper()
	active := slices.DeleteFunc(d.copies(t, node), func(c admin.CopyStatus) bool {
		return c.Database != database || !c.Active
	})
	if len(active) != 1 {
		t.Fatalf("active copies of %s: %+v", database, active)
	}
	return active[0].Server
}

// elsewhere is the server where a database is not active.
func (d *deployment) elsewhere(t *testing.T, node int, database string) string {
	t.Helper()
	if d.activeOn(t, node, database) == "mbx1" {
		return "mbx2"
	}
	return "mbx1"
}

func (d *deployment) copies(t *testing.T, node int) (all []admin.CopyStatus) {
	t.Helper()
	_, out, errs := command("database", "status", "-o", "json", "--admin", d.nodes[node].socket)
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&all); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	return all
}

// The second machine does not start, and says why. The first one goes on.
func (d *deployment) sameName(t *testing.T) {
	cut := d.cutSince(t)
	ports, err := backendtest.FreePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	second := d.node(t, 1, "127.0.1.99", ports, "{}")
	serve := testkit.Program(t, "serve", "--config", second.file)
	out, err := serve.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("another machine has the same name")) {
		t.Errorf("%v: %s", err, out)
	}
	nobodyCut(t, cut)
}

// The new process has the place of the one before at once, whose sessions stay: the node is never absent. A move ends
// these sessions too.
func (d *deployment) upgradeNode(t *testing.T) {
	cut, storm, absences := d.cutSince(t), d.signIns(), d.absences(t)
	upgraded, served := make(chan string, 1), 0
	go func() {
		status, out, errs := command("service", "upgrade", "--admin", d.nodes[1].socket)
		upgraded <- fmt.Sprint(status, out, errs)
	}()
	testkit.Eventually(t, "the new process serves clients", func() bool {
		if nodes := d.nodes[0].cluster(t).Nodes; len(nodes) != len(d.nodes) {
			t.Errorf("registered are %+v", nodes)
		}
		if len(upgraded) == 0 {
			served = storm.served()
		}
		return storm.served() > served+10
	})
	if got := <-upgraded; !strings.HasPrefix(got, "0") {
		t.Error(got)
	}
	if processes := d.nodes[1].generations(t); len(processes) != 2 {
		t.Errorf("processes: %+v", processes)
	}
	nobodyCut(t, cut)
	storm.end(t)
	d.moves(t, 2, "db1")
	d.moves(t, 1, "db2")
	testkit.Eventually(t, "the process before has ended", func() bool { return len(d.nodes[1].generations(t)) == 1 })
	if got := absences(); len(got) > 0 {
		t.Errorf("became absent: %v", got)
	}
}

// absences follows etcd, and returns what tells which nodes have become absent since. A process must have taken over
// from another one meanwhile.
func (d *deployment) absences(t *testing.T) (since func() []string) {
	t.Helper()
	etcd, err := etcdstore.Open(t.Context(), etcdstore.Options{Endpoints: []string{"http://" + d.etcd.Address},
		Prefix: "/portico"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { etcd.Close() })
	changes, err := etcd.Watch(t.Context(), "present/")
	if err != nil {
		t.Fatal(err)
	}
	<-changes // who is present
	var mu sync.Mutex
	var absent []string
	seen := 0
	go func() {
		for batch := range changes {
			mu.Lock()
			for _, change := range batch {
				seen++
				if change.Deleted {
					absent = append(absent, change.Key)
				}
			}
			mu.Unlock()
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		if seen == 0 {
			t.Error("no presence has gone over")
		}
		return absent
	}
}

// Sessions and sign-ins go on. What would change something is refused, and works when etcd is back.
func (d *deployment) etcdAway(t *testing.T, away, back func() error) {
	cut, storm, stays := d.cutSince(t), d.signIns(), d.imaplib(t)
	if err := away(); err != nil {
		t.Fatal(err)
	}
	for _, u := range d.nodes {
		testkit.Eventually(t, "the node has noticed", func() bool { return !u.cluster(t).Etcd.Follows })
	}
	if *siteAway > 0 {
		storm := d.bench(t, "--profile", "storm", "--rate", fmt.Sprint(*siteRate), "--sessions", "20")
		noop := d.bench(t, "--profile", "noop", "--rate", fmt.Sprint(*siteSessions), "--sessions",
			fmt.Sprint(*siteSessions))
		d.programs(t, *siteAway)
		storm()
		noop()
	}
	d.programs(t, 0)
	served := storm.served()
	testkit.Eventually(t, "clients are served", func() bool { return storm.served() > served+10 })
	for i, u := range d.nodes {
		got := u.run(t, cli.StatusFailed, "database", "move", "db1", d.elsewhere(t, i, "db1"))
		if !strings.Contains(got, "etcd does not answer") {
			t.Error(got)
		}
	}
	if err := back(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	d.whole(t)
	whole := time.Since(began)
	took := storm.end(t)
	nobodyCut(t, cut)
	stays(t)
	t.Logf("%d sessions stayed; %d sign-ins: median %v, longest %v; all nodes were present %v after etcd was back",
		len(d.clients), len(took), took[len(took)/2], took[len(took)-1], whole)
	to := d.elsewhere(t, 0, "db1")
	// An etcd that has hung for longer than leases last ends them first. Nodes are absent until they write again.
	testkit.Eventually(t, "a database moves", func() bool {
		status, _, _ := command("database", "move", "db1", to, "--admin", d.nodes[0].socket)
		return status == cli.StatusFine
	})
	d.movedTo(t, "db1", to)
}

// Nothing moves behind the back of a node that does not run at the moment. When it goes on, it does what the others
// have agreed on.
func (d *deployment) suspendNode(t *testing.T) {
	const node, database = 2, "db2"
	to := d.elsewhere(t, 0, database)
	cut, process := d.cutSince(t), d.nodes[node].generations(t)[0].PID
	syscall.Kill(process, syscall.SIGSTOP)
	moved := make(chan string, 1)
	go func() {
		_, out, errs := command("database", "move", database, to, "--admin", d.nodes[0].socket)
		moved <- out + errs
	}()
	testkit.Eventually(t, "others wait for it", func() bool {
		return len(moved) > 0 || slices.ContainsFunc(d.copies(t, 0), func(c admin.CopyStatus) bool {
			return c.Database == database && c.Status == "Dismounting"
		})
	})
	time.Sleep(*siteSuspended)
	if len(moved) > 0 && d.activeOn(t, 0, database) == to {
		t.Errorf("it has moved although %s may still serve it: %s", nameOf(node), <-moved)
	}
	syscall.Kill(process, syscall.SIGCONT)
	t.Logf("the move says: %s", <-moved)
	d.whole(t)
	if d.activeOn(t, 0, database) != to {
		d.nodes[0].run(t, cli.StatusFine, "database", "move", database, to)
	}
	d.movedTo(t, database, to)
	for _, s := range cut() {
		if s.Database != database {
			t.Errorf("a session in %s was cut", s.Database)
		}
	}
}

// The users of a node that is killed sign in again through the others, whose own users notice nothing.
func (d *deployment) killNode(t *testing.T) {
	const node = 1
	cut, killed := d.cutSince(t), 0
	for _, s := range d.sessions(t) {
		if s.Node == nameOf(node) {
			killed++
		}
	}
	began := time.Now()
	syscall.Kill(d.nodes[node].generations(t)[0].PID, syscall.SIGKILL)
	testkit.Eventually(t, "the sessions have ended", func() bool { return len(cut()) >= killed })
	d.allSignedIn(t)
	t.Logf("the users of %d sessions were in again after %v", killed, time.Since(began))
	for _, s := range cut() {
		if s.Node != nameOf(node) {
			t.Errorf("a session at %s was cut", s.Node)
		}
	}
	if killed == 0 {
		t.Error("nobody was signed in there")
	}
	d.start(node)
	d.whole(t)
}

// The databases of a server that is killed fail over once, whichever nodes see it.
func (d *deployment) killServer(t *testing.T) {
	for _, database := range []string{"db1", "db2"} {
		if d.activeOn(t, 0, database) != "mbx1" {
			d.moves(t, 0, database)
		}
	}
	cut, before := d.cutSince(t), len(d.activations())
	d.nodes[0].run(t, cli.StatusFine, "override", "add", "IMAP.Protocol/ImapSelfTestMonitor", "--item-type", "Monitor",
		"--property", "UnhealthySeconds", "--value", "1")
	began := time.Now()
	if err := d.dovecots[0].Stop(); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, "all sessions have ended", func() bool { return len(cut()) == len(d.clients) })
	d.allSignedIn(t)
	t.Logf("all were in again after %v", time.Since(began))
	for _, database := range []string{"db1", "db2"} {
		d.movedTo(t, database, "mbx2")
		if n := strings.Count(d.activations()[before:], "\nactivate "+database+" mbx1 mbx2"); n != 1 {
			t.Errorf("the hook of %s has run %d times", database, n)
		}
	}
	for _, u := range d.nodes {
		testkit.Eventually(t, "the node knows of one failover", func() bool {
			all := u.failovers(t)
			return len(all) == 1 && all[0].Result == recovery.ResultSucceeded
		})
	}
	t.Logf("hooks:%s", d.activations()[before:])
}

// failovers are those of mailbox servers in the recovery log, as a node has it.
func (u *upgradable) failovers(t *testing.T) (all []recovery.Record) {
	t.Helper()
	var state admin.RecoveryState
	_, out, errs := command("health", "recovery", "-o", "json", "--admin", u.socket)
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&state); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	return slices.DeleteFunc(state.Records, func(r recovery.Record) bool { return r.ID != "ServerFailover" })
}
