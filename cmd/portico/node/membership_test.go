package node

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cluster"
	"portico/cmd/portico/cli"
	sitestore "portico/cmd/portico/site"
	"portico/configs/store"
	"portico/health/admin"
)

// clustered is several nodes before the same two mailbox servers, and one etcd.
type clustered struct {
	etcd    *backendtest.Daemon
	servers [2]string
	nodes   []*running
}

// startCluster starts nodes mx1, mx2 and so on, in a site that the first one has begun.
func startCluster(t *testing.T, nodes int) *clustered {
	t.Helper()
	c := &clustered{etcd: testkit.Etcd(t, 1)[0]}
	for i := range c.servers {
		first := newSite(t)
		first.serveMail(t)
		c.servers[i] = first.server
	}
	for i := range nodes {
		of, file := c.site(t, fmt.Sprintf("mx%d", i+1))
		if i == 0 {
			var out strings.Builder
			status := cli.Run([]string{"cluster", "init", "-c", file}, &out, &out, cli.Node{})
			if status != cli.StatusFine {
				t.Fatal(out.String())
			}
		}
		c.nodes = append(c.nodes, of.serve(t, file))
	}
	return c
}

// site writes the configuration of a node.
func (c *clustered) site(t *testing.T, name string) (of *site, file string) {
	t.Helper()
	of = newSite(t)
	of.put(t, "secret", strings.Repeat("s", 40)+"\n")
	admin := "127.0.0.1:" + testkit.FreePort(t)
	file = of.writeWithout(t, "mailbox_servers", fmt.Sprintf(`mailbox_servers:
  mbx1: {address: "%s", tls: none}
  mbx2: {address: "%s", tls: none}
cluster: {name: %s, secret_file: secret, advertise: "http://%s", etcd: {endpoints: ["http://%s"]}}
`, c.servers[0], c.servers[1], name, admin, c.etcd.Address))
	of.replace(t, `"[::1]:0"`, `"`+admin+`"`)
	of.replace(t, "[mbx1]}}", "[mbx1, mbx2]}}")
	return of, file
}

// A move that one node is asked for ends the sessions on all, and all let users in at the new copy.
func TestClusterMoves(t *testing.T) {
	testkit.NoLeaks(t)
	c := startCluster(t, 3)
	var clients []*testkit.Conn
	for _, node := range c.nodes {
		clients = append(clients, node.signIn(t))
	}
	c.nodes[1].asks(t, cli.StatusFine, "database", "move", "db1", "mbx2")
	for i, node := range c.nodes {
		clients[i].Expect("* BYE *")
		node.signIn(t)
		if at := node.mailbox.activeOn("db1"); at != "mbx2" {
			t.Errorf("node %d: db1 is active on %s", i+1, at)
		}
	}
	c.nodes[0].asks(t, cli.StatusFine, "settings", "set", "max_connections_per_user=7")
	testkit.Eventually(t, "the setting is in force everywhere", func() bool {
		return c.nodes[2].current().config.Settings.MaxConnectionsPerUser == 7
	})
	got := c.nodes[2].asks(t, cli.StatusFine, "settings", "get", "max_connections_per_user", "-o", "json")
	if !strings.Contains(got, `"source": "site"`) {
		t.Error(got)
	}
	c.nodes[2].signals <- syscall.SIGTERM
	c.nodes[2].stopped(t)
	known, err := sitestore.Known(t.Context(), c.nodes[2].current().config.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := cluster.Registered(t.Context(), known); err != nil || len(all) != 3 || !all[2].Value.Stopped {
		t.Errorf("a start without etcd would have %+v, %v", all, err)
	}
}

// A node whose databases are not those of the others is named, until they are.
func TestClusterDiffers(t *testing.T) {
	testkit.NoLeaks(t)
	c := startCluster(t, 2)
	here, there := c.nodes[0], c.nodes[1]
	here.asks(t, cli.StatusFine, "cluster", "status")
	there.site.replace(t, "[mbx1, mbx2]}}", "[mbx2, mbx1]}}")
	reload(t, there, true)
	testkit.Eventually(t, "it is seen", func() bool { return here.cluster.alike() != nil })
	if got := here.asks(t, cli.StatusBad, "cluster", "status"); !strings.Contains(got,
		"node mx2 has another configuration than mx1 in: databases (") {
		t.Error(got)
	}
	if status, body := here.get(t, "/readyz"); status != http.StatusOK || !strings.Contains(body, "databases of mx2") {
		t.Errorf("/readyz: %d %s", status, body)
	}
	here.asks(t, cli.StatusFine, "database", "move", "db1", "mbx2")
	there.site.replace(t, "[mbx2, mbx1]}}", "[mbx1, mbx2]}}")
	reload(t, there, true)
	testkit.Eventually(t, "it is over", func() bool { return here.cluster.alike() == nil })
}

// A node that is gone without a word stops moves that an operator orders, until it is removed or back. Lists are over
// all nodes that are registered.
func TestNodesOfACluster(t *testing.T) {
	testkit.NoLeaks(t)
	c := startCluster(t, 2)
	here, there := c.nodes[0], c.nodes[1]
	there.signIn(t)
	testkit.Eventually(t, "the other node's session", func() bool {
		return strings.Contains(here.asks(t, cli.StatusFine, "session", "list"), "mx2")
	})
	dead := cluster.Node{Boot: "1", Version: "9"}
	if err := store.SetOf[cluster.Node](here.cluster.store, "nodes/").Replace(t.Context(), "mx3", dead); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"~acks/mx3": `{"boot":"0"}`, "health/seen/mx3": "{}",
		"heavy/mx3": "", "parts/mx3": "{}"} {
		if _, err := here.cluster.store.CompareAndSet(t.Context(), key, 0, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "it is absent", func() bool {
		return slices.Contains(strings.Fields(here.asks(t, cli.StatusBad, "cluster", "status")), "absent")
	})
	testkit.Eventually(t, "there is a leader", func() bool {
		return slices.Contains(strings.Fields(here.asks(t, cli.StatusFine, "node", "list")), "yes")
	})
	if got := here.asks(t, cli.StatusFailed, "database", "move", "db1", "mbx2"); !strings.Contains(got,
		"mx3 is absent since") {
		t.Error(got)
	}
	for _, refused := range [][]string{{"mx3"}, {"mx2", "--dead", "--yes"}, {"mx9", "--dead", "--yes"},
		{"mx3", "--dead"}} {
		here.asks(t, cli.StatusFailed, append([]string{"node", "remove"}, refused...)...)
	}
	if status, _, body := here.send(t, "POST", admin.PathOf(admin.PathRemoveNode, "mx3"), `{"dead":true,"boot":"0"}`,
		nil); status != http.StatusConflict {
		t.Errorf("an earlier registration: %d %s", status, body)
	}
	here.asks(t, cli.StatusFine, "node", "remove", "mx3", "--dead", "--yes")
	for _, prefix := range []string{"", store.Aside} {
		all, err := here.cluster.store.List(t.Context(), prefix)
		for _, entry := range all {
			if strings.HasSuffix(entry.Key, "/mx3") {
				t.Errorf("%s is still there", entry.Key)
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
	here.asks(t, cli.StatusFine, "database", "move", "db1", "mbx2")
	there.signals <- syscall.SIGTERM
	there.stopped(t)
	testkit.Eventually(t, "it has stopped, and is not absent", func() bool {
		return strings.Contains(here.asks(t, cli.StatusFine, "node", "list"), "stopped")
	})
	here.asks(t, cli.StatusFine, "database", "move", "db1", "mbx1")
	here.asks(t, cli.StatusFine, "node", "remove", "mx2")
	_, metrics := here.get(t, "/metrics")
	for _, line := range []string{`portico_cluster_nodes{state="present"} 1`, "portico_cluster_store_up 1",
		`portico_cluster_moves_refused_total{reason="absent"} 1`} {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}

// While etcd is away, users are served, changes are refused with the reason, and the monitor of the store says it.
func TestEtcdAway(t *testing.T) {
	testkit.NoLeaks(t)
	c := startCluster(t, 1)
	r := c.nodes[0]
	live := r.signIn(t)
	if err := c.etcd.Stop(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "etcd is missed", func() bool { return r.store.usable() != nil })
	if got := r.asks(t, cli.StatusBad, "cluster", "status"); !strings.Contains(got, "NOT followed") {
		t.Error(got)
	}
	live.Command("b", "NOOP")
	r.signIn(t)
	for _, refused := range [][]string{{"database", "move", "db1", "mbx2"}, {"settings", "set", "banner=Ho"},
		{"server", "block", "mbx2"}, {"node", "remove", "mx1", "--dead", "--yes"}} {
		if got := r.asks(t, cli.StatusFailed, refused...); !strings.Contains(got, "etcd does not answer") {
			t.Errorf("%q: %s", refused, got)
		}
	}
	if err := c.etcd.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "etcd is followed", func() bool { return r.store.usable() == nil })
	r.asks(t, cli.StatusFine, "database", "move", "db1", "mbx2")
	_, metrics := r.get(t, "/metrics")
	if refused := `portico_cluster_moves_refused_total{reason="etcd"} 1`; !strings.Contains(metrics, refused) {
		t.Errorf("no %s", refused)
	}
	for _, op := range []string{"ask", "change"} {
		series := `portico_cluster_store_duration_seconds_count{op="` + op + `"} `
		if !strings.Contains(metrics, "\n"+series) || strings.Contains(metrics, "\n"+series+"0\n") {
			t.Errorf("no %s", series)
		}
	}
}

// A node stops when another machine has taken its place: no move waits for it any more.
func TestTakenPlace(t *testing.T) {
	testkit.NoLeaks(t)
	c := startCluster(t, 1)
	r := c.nodes[0]
	s := r.cluster.etcd
	is, err := s.Get(t.Context(), "nodes/mx1")
	if err != nil {
		t.Fatal(err)
	}
	other := []byte(`{"boot":"1","machine":"another"}`)
	if _, err := s.CompareAndSet(t.Context(), is.Key, is.Revision, other); err != nil {
		t.Fatal(err)
	}
	err = <-r.ended
	r.ended <- nil
	if !errors.Is(err, cluster.ErrTaken) {
		t.Error(err)
	}
}
