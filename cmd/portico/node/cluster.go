package node

import (
	"context"
	"fmt"

	"portico/backend"
	"portico/cluster"
	"portico/configs"
)

// moving moves databases.
type moving = func(context.Context, backend.MoveOptions) []backend.MoveResult

// patiently returns a move that waits for an absent node as configured, and then fences it. Moves that an operator
// orders are refused instead, while a node is absent.
func (m *membership) patiently(config configs.Cluster, move moving) (moving, error) {
	fence, err := newHook(config.Fence)
	if err != nil {
		return nil, fmt.Errorf("cluster.fence.%w", err)
	}
	return func(ctx context.Context, o backend.MoveOptions) []backend.MoveResult {
		o.Patience = config.Patience
		if m != nil && fence != nil {
			o.Fence = func(ctx context.Context, node cluster.Node) error { return m.fence(ctx, fence, node) }
		}
		return move(ctx, o)
	}, nil
}

// fence makes sure that an absent node serves nobody, and takes it out of the site. It registers again when it is back.
func (m *membership) fence(ctx context.Context, by hook, node cluster.Node) error {
	m.log.Warn().Str("node", node.Name).Msg("fencing a node that is absent")
	if err := by.Fence(ctx, node.Name); err != nil {
		return err
	}
	err := cluster.Expel(ctx, m.etcd, node)
	if err == nil {
		m.log.Warn().Str("node", node.Name).Msg("node fenced, and removed from the site")
	}
	return err
}
