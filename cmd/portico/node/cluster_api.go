package node

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"portico/cluster"
	"portico/cmd/portico/release"
	sitestore "portico/cmd/portico/site"
	"portico/health/admin"
)

// clusterAPI implements admin.Cluster.
type clusterAPI struct{ s *service }

// errAlone is the answer of a node without a cluster.
var errAlone = admin.Of(admin.KindRefused,
	errors.New("this node is in no cluster: see cluster.etcd in the configuration"))

// Cluster implements admin.Cluster.
func (c clusterAPI) Cluster(context.Context) (admin.ClusterState, error) {
	m := c.s.cluster
	state := admin.ClusterState{Node: c.s.config.node(), Nodes: []admin.ClusterNode{}}
	if m == nil {
		state.Nodes = append(state.Nodes, admin.ClusterNode{Name: state.Node, State: admin.NodePresent,
			Since: c.s.began, Started: c.s.began, Version: release.Version()})
		return state, nil
	}
	state.Leader = m.election.Name()
	failing := m.follows()
	state.Etcd = &admin.EtcdState{Endpoints: m.options.Etcd.Endpoints, Prefix: m.options.Etcd.Prefix,
		Follows: failing == nil, Since: m.etcd.State().Since}
	if failing != nil {
		state.Etcd.Error = failing.Error()
	}
	for _, node := range m.self.Nodes() {
		row := clusterNode(node)
		if !node.Stopped {
			row.Differs = m.parts.Differing(node.Name)
		}
		state.Nodes = append(state.Nodes, row)
	}
	return state, nil
}

func clusterNode(node cluster.NodeState) admin.ClusterNode {
	row := admin.ClusterNode{Name: node.Name, State: admin.NodeAbsent, Since: node.Since, Started: node.Node.Since,
		Boot: node.Boot, Address: node.Address, Version: node.Version}
	switch {
	case node.Stopped: // it may still be present for a moment
		row.State = admin.NodeStopped
	case node.Present:
		row.State = admin.NodePresent
	}
	return row
}

// RemoveNode implements admin.Cluster.
func (c clusterAPI) RemoveNode(ctx context.Context, name string, r admin.RemoveNodeRequest) (was admin.ClusterNode,
	err error) {
	m := c.s.cluster
	if m == nil {
		return was, errAlone
	}
	all := m.self.Nodes()
	at := slices.IndexFunc(all, func(node cluster.NodeState) bool { return node.Name == name })
	if at < 0 {
		return was, admin.NoSuch("node", name, nodeNames(all))
	}
	if err := m.etcd.State().Err; err != nil { // who is present is not known either
		return was, err
	}
	node := all[at].Node
	was, node.Boot = clusterNode(all[at]), cmp.Or(r.Boot, node.Boot)
	err = sitestore.Remove(ctx, m.etcd, node, r.Dead)
	switch {
	case errors.Is(err, cluster.ErrUnknown):
		err = admin.NoSuch("node", name, nodeNames(all))
	case errors.Is(err, cluster.ErrPresent), errors.Is(err, cluster.ErrMayServe), errors.Is(err, cluster.ErrBack):
		err = admin.Of(admin.KindRefused, err)
	}
	return was, err
}

func nodeNames(all []cluster.NodeState) []string {
	names := make([]string, len(all))
	for i, node := range all {
		names[i] = node.Name
	}
	return names
}
