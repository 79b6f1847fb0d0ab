package site

import (
	"context"
	"errors"
	"fmt"

	"portico/backend/move"
	"portico/cluster"
	"portico/configs/store"
)

// Remove removes a node from a site; see [cluster.Remove].
func Remove(ctx context.Context, s store.Store, node cluster.Node, dead bool) error {
	err := cluster.Remove(ctx, s, node, dead)
	if err == nil {
		err = forget(ctx, s, node)
	}
	return err
}

// Expel removes a node that was fenced from a site; see [cluster.Expel].
func Expel(ctx context.Context, s store.Store, node cluster.Node) (done bool, err error) {
	if done, err = cluster.Expel(ctx, s, node); done {
		err = forget(ctx, s, node)
	}
	return done, err
}

// forget removes what a node that is not registered any more has told the others. The ladders of its own front end
// stay: if it is back, it takes back what was done there.
func forget(ctx context.Context, s store.Store, node cluster.Node) error {
	err := move.Forget(ctx, s, node.Name)
	for _, prefix := range byNode {
		err = errors.Join(err, drop(ctx, s, prefix+node.Name))
	}
	if err != nil {
		err = fmt.Errorf("node %s is removed, but not what it has told the others, which does no harm: %w", node.Name,
			err)
	}
	return err
}

// drop deletes an entry, if it exists and nobody changes it meanwhile.
func drop(ctx context.Context, s store.Store, key string) error {
	entry, err := s.Get(ctx, key)
	if err == nil {
		err = s.Delete(ctx, key, entry.Revision)
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}
