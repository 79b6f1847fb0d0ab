package node

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// A user's connections count at all nodes, a pause at one is one at all, and all have the same keys of session tickets.
func TestClusterShares(t *testing.T) {
	testkit.NoLeaks(t)
	c := startCluster(t, 2)
	one, other := c.nodes[0], c.nodes[1]
	testkit.Eventually(t, "both nodes have the same keys of session tickets", func() bool {
		keys := one.clients.tickets.Keys()
		return len(keys) > 0 && reflect.DeepEqual(keys, other.clients.tickets.Keys())
	})
	one.asks(t, cli.StatusFine, "settings", "set", "max_connections_per_user=4")
	testkit.Eventually(t, "the limit is in force at both", func() bool {
		return other.clients.server.Settings().Limits.ConnectionsPerUser == 4
	})
	for range 4 {
		one.signIn(t)
	}
	testkit.Eventually(t, "the other node knows of the user's connections", func() bool {
		_, page := other.get(t, "/metrics")
		return strings.Contains(page, `portico_cluster_counts{from="others"} 1`)
	})
	client := testkit.Dial(t, other.clients.listeners.addresses()[1].String(), other.trust())
	client.Expect("* OK *")
	client.Send("a LOGIN alice secret")
	client.Expect("a NO [LIMIT] *")

	one.asks(t, cli.StatusFine, "server", "pause", "mbx1", "--for", "5m")
	testkit.Eventually(t, "the other node holds sign-ins too", func() bool {
		return other.mailbox.signinQueues.State("mbx1").Paused > 4*time.Minute
	})
	other.asks(t, cli.StatusFine, "server", "resume", "mbx1")
	testkit.Eventually(t, "the first node admits again", func() bool {
		return one.mailbox.signinQueues.State("mbx1").Paused == 0
	})
}
