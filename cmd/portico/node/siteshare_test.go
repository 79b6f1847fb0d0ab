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
	etcd := testkit.Etcd(t, 1) // it ends after the nodes
	service, restarts := w.hook(t, "restart-service", "")
	var nodes []*running
	var own []*watchedSite
	for i := range 3 {
		n := &watchedSite{site: &site{dir: t.TempDir(), ca: w.ca}, dovecots: w.dovecots, valves: w.valves}
		n.valves[0] = newValve(t, w.valves[0].ln.Addr().String()) // the way from this node
		n.certificate(t, "mail", "localhost", "127.0.0.1")
		n.put(t, "health.password", "probe-it\n")
		n.put(t, "secret", strings.Repeat("s", 40)+"\n")
		file := n.config(t, healthTimings+"  recovery: {wait: 1h, restart_service: "+service+"}\n"+fmt.Sprintf(
			"cluster: {name: mx%d, secret_file: secret, etcd: {endpoints: [\"http://%s\"]}}\n", i+1, etcd[0].Address))
		if i == 0 {
			var out strings.Builder
			if cli.Run([]string{"cluster", "init", "-c", file}, &out, &out, cli.Node{}) != cli.StatusFine {
				t.Fatal(out.String())
			}
		}
		own, nodes = append(own, n), append(nodes, n.serve(t, file))
	}
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
