package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
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
	all, err := backendtest.StartEtcd(t.Context(), 1)
	if missing := new(backendtest.MissingError); errors.As(err, &missing) {
		testkit.Lack(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	c := &clustered{etcd: all[0]}
	t.Cleanup(func() { c.etcd.Close() })
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
	file = of.writeWithout(t, "mailbox_servers", fmt.Sprintf(`mailbox_servers:
  mbx1: {address: "%s", tls: none}
  mbx2: {address: "%s", tls: none}
cluster: {name: %s, secret_file: secret, etcd: {endpoints: ["http://%s"]}}
`, c.servers[0], c.servers[1], name, c.etcd.Address))
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
}
