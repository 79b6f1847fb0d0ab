package node

import (
	"context"
	"fmt"

	"portico/backend"
	"portico/cluster"
	sitestore "portico/cmd/portico/site"
	"portico/configs"
)

// patience returns the options of a move that waits for an absent node as configured, and then fences it. Moves that an
// operator orders are refused instead, while a node is absent.
func (m *membership) patience(config configs.Cluster) (o backend.MoveOptions, err error) {
	fence, err := newHook(config.Fence)
	if err != nil {
		return o, fmt.Errorf("cluster.fence.%w", err)
	}
	o.Patience = config.Patience
	if m != nil && fence != nil {
		o.Fence = func(ctx context.Context, node cluster.Node) error { return m.fence(ctx, fence, node) }
	}
	return o, nil
}

// fence makes sure that an absent node serves nobody, and takes it out of the site. It registers again when it is back.
func (m *membership) fence(ctx context.Context, by hook, node cluster.Node) error {
	m.log.Warn().Str("node", node.Name).Msg("fencing a node that is absent")
	if err := by.Fence(ctx, node.Name); err != nil {
		return err
	}
	done, err := sitestore.Expel(ctx, m.etcd, node)
	if done {
		m.log.Warn().Str("node", node.Name).Msg("node fenced, and removed from the site")
	}
	return err
}
