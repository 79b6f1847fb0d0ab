package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"portico/configs/suggest"
	"portico/health/admin"
	"portico/health/admin/table"
)

func newClusterStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the nodes of the site, and whether this one follows etcd",
		Long: `Status shows the site as this node sees it. An absent node may still serve
users: until it is back, or is removed with portico node remove, databases and
users cannot be moved. If the configuration of a node differs from this one's
where all nodes need the same, status names the parts, such as databases.

Exit status: 0 all is well, 1 a node is absent, its configuration differs, or etcd
cannot be followed, 2 the command failed.`,
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var state admin.ClusterState
		if err := api.get(cmd.Context(), admin.PathCluster, &state); err != nil {
			return err
		}
		rows := nodeTable(state)
		etcd := state.Etcd
		if api.form == table.Plain {
			fmt.Fprintln(cmd.OutOrStdout(), etcdLine(etcd))
		}
		if err := api.print(cmd, state, rows); err != nil {
			return err
		}
		tellDiffering(cmd, state)
		if slices.ContainsFunc(state.Nodes, isBad) || etcd != nil && !etcd.Follows {
			return errBadNews
		}
		return nil
	}
	return cmd
}

func isBad(n admin.ClusterNode) bool { return n.State == admin.NodeAbsent || len(n.Differs) > 0 }

// tellDiffering names the nodes with another configuration on standard error.
func tellDiffering(cmd *cobra.Command, state admin.ClusterState) {
	for _, n := range state.Nodes {
		if len(n.Differs) > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "portico: node %s has another configuration than %s in: %s (all nodes need "+
				"the same)\n", visibleText(n.Name), visibleText(state.Node), visibleText(strings.Join(n.Differs, ", ")))
		}
	}
}

// etcdLine says how a node stands to etcd.
func etcdLine(etcd *admin.EtcdState) string {
	switch {
	case etcd == nil:
		return "This node is in no cluster: see portico cluster init."
	case etcd.Follows:
		return "etcd is followed since " + table.Time(etcd.Since) + "."
	}
	return "etcd is NOT followed since " + table.Time(etcd.Since) + ": " + visibleText(etcd.Error)
}

func nodeTable(state admin.ClusterState) *table.Table {
	rows := table.New("Node", "State", "Since", "Version", "Address", "Leader").Keep("Node", "State")
	for _, n := range state.Nodes {
		leader := ""
		if n.Name == state.Leader {
			leader = "yes"
		}
		rows.Add(n.Name, n.State, table.Time(n.Since), n.Version, n.Address, leader)
	}
	return rows
}

func newNode() *cobra.Command {
	return group(&cobra.Command{Use: "node", Short: "List and remove the nodes of the site"},
		newNodeList(), newNodeRemove())
}

func newNodeList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the registered nodes of the site",
		Long: `List lists the nodes of the site as this node sees them. A present node runs and
follows etcd. An absent node has not been heard of for ten seconds, and may still
serve users. A stopped node has ended properly, and serves nobody.`,
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var state admin.ClusterState
		if err := api.get(cmd.Context(), admin.PathCluster, &state); err != nil {
			return err
		}
		return api.print(cmd, state.Nodes, nodeTable(state))
	}
	return cmd
}

func newNodeRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove NODE",
		Short: "Remove a node from the site, so that no move waits for it",
		Long: `Remove removes the registration of a node that has stopped. A node that is gone
without a word may still serve users: only --dead removes it, and only if it is
absent. Use --dead when you know that Portico does not run there, as when the
machine is off. If that is wrong, and its clients still reach it, users can be on
two copies of a database. So the command asks you to type the node's name. If the
node has registered again before you answer, it is not removed.

A removed node registers again when Portico starts there, or when it is back. It
ends the sessions of databases and users that have moved meanwhile. To take a
node out for good, run portico cluster leave there.`,
		Args: cobra.ExactArgs(1),
	}
	api, yes := apiFlags(cmd), yesFlag(cmd)
	dead := cmd.Flags().Bool("dead", false, "the node does not run, though it has not ended properly")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		request := admin.RemoveNodeRequest{Dead: *dead}
		if *dead && !*yes {
			var err error
			if request.Boot, err = confirmDead(cmd, api, args[0]); err != nil {
				return err
			}
		}
		var was admin.ClusterNode
		if err := api.post(cmd.Context(), admin.PathOf(admin.PathRemoveNode, args[0]), request, &was); err != nil {
			return err
		}
		return api.printChanged(cmd, admin.Change{What: "node " + was.Name, Was: was.State, Now: "removed"})
	}
	return cmd
}

// confirmDead asks whether to remove a node that may serve users, and returns the boot of the registration that the
// question is about: the node may be back before the answer.
func confirmDead(cmd *cobra.Command, api *apiCommand, name string) (boot string, err error) {
	var state admin.ClusterState
	if err := api.get(cmd.Context(), admin.PathCluster, &state); err != nil {
		return "", err
	}
	names := make([]string, len(state.Nodes))
	for i, node := range state.Nodes {
		if names[i] = node.Name; node.Name == name {
			return node.Boot, confirmName(cmd, fmt.Sprintf("%s is %s since %s. If it still serves users, they can be "+
				"on two copies of a database.", name, node.State, table.Time(node.Since)), name)
		}
	}
	return "", errors.New(suggest.NoSuch("node", name, names))
}
