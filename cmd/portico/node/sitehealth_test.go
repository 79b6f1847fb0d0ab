package node

import (
	"fmt"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// A mailbox server that fails for all nodes of a cluster is restarted once, by their leader, and all know of it. What
// fails for one node alone is left alone.
func TestClusterRecoversOnce(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	service, restarts := w.hook(t, "restart-service", "")
	own, nodes := w.cluster(t, 3, healthTimings+"  recovery: {wait: 1h, restart_service: "+service+"}\n", nil)
	leaders := func() (all []int) {
		for i, node := range nodes {
			if _, page := node.get(t, "/metrics"); strings.Contains(page, "\nportico_cluster_leader 1\n") {
				all = append(all, i)
			}
		}
		return all
	}
	for _, node := range nodes {
		node.settled(t)
	}
	nodes[0].impatient(t) // and by the store, all of them
	testkit.Eventually(t, "one node leads", func() bool { return len(leaders()) == 1 })
	leader := leaders()[0]

	own[leader].valves[0].set(fault{refuse: true})
	nodes[leader].eventually(t, "the leader sees it", func() bool {
		return nodes[leader].monitors(t)[self1].AlertValue == "Unhealthy"
	})
	own[leader].valves[0].set(fault{})
	nodes[leader].settled(t)
	if got := restarts(); got != "" {
		t.Errorf("what fails for one node: %s", got)
	}

	w.valves[0].set(fault{refuse: true})
	testkit.Eventually(t, "the service is restarted", func() bool { return restarts() != "" })
	for _, node := range nodes {
		node.eventually(t, "all nodes know", func() bool {
			return node.recovered() == "RestartService/mbx1:Succeeded" &&
				node.monitors(t)[self1].AlertValue == "Unhealthy"
		})
	}
	w.valves[0].set(fault{})
	for _, node := range nodes {
		node.settled(t)
		node.eventually(t, "nothing is to be recovered", func() bool {
			return len(node.recovery.responders.Ladders()) == 0
		})
	}
	if got := restarts(); got != "restart mbx1" {
		t.Errorf("all together: %q", got)
	}
}

// cluster starts nodes before the mailbox servers, each with a way to them of its own. change is done to each node's
// configuration.
func (w *watchedSite) cluster(t *testing.T, number int, health string, change func(*watchedSite)) (own []*watchedSite,
	nodes []*running) {
	t.Helper()
	etcd := testkit.Etcd(t, 1) // it ends after the nodes
	for i := range number {
		n := &watchedSite{site: &site{dir: t.TempDir(), ca: w.ca}, dovecots: w.dovecots, valves: w.valves}
		for j := range n.valves {
			n.valves[j] = newValve(t, w.valves[j].ln.Addr().String()) // the way from this node
		}
		n.certificate(t, "mail", "localhost", "127.0.0.1")
		n.put(t, "health.password", "probe-it\n")
		n.put(t, "secret", strings.Repeat("s", 40)+"\n")
		file := n.config(t, health+fmt.Sprintf(
			"cluster: {name: mx%d, secret_file: secret, etcd: {endpoints: [\"http://%s\"]}}\n", i+1, etcd[0].Address))
		if change != nil {
			change(n)
		}
		if i == 0 {
			var out strings.Builder
			if cli.Run([]string{"cluster", "init", "-c", file}, &out, &out, cli.Node{}) != cli.StatusFine {
				t.Fatal(out.String())
			}
		}
		own, nodes = append(own, n), append(nodes, n.serve(t, file))
	}
	return own, nodes
}

// A copy is Failed if most nodes cannot read it, and not on the word of one of them.
func TestClusterCopyIsFailedForMost(t *testing.T) {
	testkit.NoLeaks(t)
	own, nodes := newMemorySite(t).cluster(t, 3, calmTimings+"  recovery: {mode: off}\n", func(n *watchedSite) {
		n.replace(t, "{db1: {copies: [mbx1]}", "{db1: {copies: [mbx1, mbx2], interchangeable: true}")
	})
	for _, node := range nodes {
		testkit.Eventually(t, "it knows the others", func() bool { return len(node.cluster.self.Present()) == 3 })
	}
	nodes[0].asks(t, cli.StatusFine, "override", "add", "IMAP.Protocol/ImapCopyTestProbe", "--property",
		"RecurrenceIntervalSeconds", "--value", "1")
	own[0].valves[1].turn(fault{hangsUpOn: opens})
	nodes[0].logged(t, "copy of a database cannot be read from this node, but from others")
	if got := nodes[0].copyStatus(t, "db1", "mbx2"); got != "Healthy" {
		t.Errorf("on the word of one node, the copy is %s", got)
	}
	own[1].valves[1].turn(fault{hangsUpOn: opens})
	for _, node := range nodes {
		node.eventually(t, "the copy is Failed", func() bool { return node.copyStatus(t, "db1", "mbx2") == "Failed" })
	}
	own[0].valves[1].set(fault{})
	nodes[2].eventually(t, "most read it", func() bool { return nodes[2].copyStatus(t, "db1", "mbx2") == "Healthy" })
}
