package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"portico/configs/store"
	"portico/sleep"
)

// partsKey is followed by the name of a node: digests of its configuration, by part.
const partsKey = "parts/"

// Parts tells the other nodes digests of the parts of this node's configuration that all nodes need to have the same,
// and knows theirs. Nothing depends on it: it shows mistakes. It is safe for concurrent use.
type Parts struct {
	node    string
	failed  func(error)
	stored  *store.Mirror[map[string]string] // by node
	changed chan struct{}                    // has a token when what is stored may not be what this node has

	mu  sync.Mutex
	own map[string]string
}

// NewParts reads what the other nodes have told. node is this one, and own are its digests. failed is told what cannot
// be read or stored.
func NewParts(ctx context.Context, s store.Store, node string, own map[string]string,
	failed func(error)) (*Parts, error) {
	p := &Parts{node: node, failed: failed, changed: make(chan struct{}, 1), own: own}
	var err error
	p.stored, err = store.NewMirror(ctx, store.SetOf[map[string]string](s, partsKey),
		store.MirrorOptions{Changed: p.look, Failed: failed})
	return p, err
}

// Use changes this node's digests. The other nodes know them as soon as the store takes changes.
func (p *Parts) Use(own map[string]string) {
	p.mu.Lock()
	p.own = own
	p.mu.Unlock()
	p.look()
}

// look has Run compare what is stored with what this node has.
func (p *Parts) look() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Differing lists the parts that another node has otherwise than this one, sorted. A part that one of the two does not
// know, because its version of Portico is another one, is left out.
func (p *Parts) Differing(node string) (parts []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if node == p.node { // what it has stored may be old
		return nil
	}
	for part, digest := range p.stored.Item(node).Value {
		if own, known := p.own[part]; known && own != digest {
			parts = append(parts, part)
		}
	}
	slices.Sort(parts)
	return parts
}

// Run tells the other nodes, and follows what they tell, until ctx ends. It tells them again when its entry is gone,
// and when the store is back.
func (p *Parts) Run(ctx context.Context) {
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { p.stored.Run(ctx) })
	for {
		err := p.tell(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrAway) {
			p.failed(fmt.Errorf("tell other nodes of the configuration: %w", err))
		}
		if err != nil {
			if sleep.For(ctx, retryTime) != nil {
				return
			}
			continue
		}
		select {
		case <-p.changed:
		case <-ctx.Done():
			return
		}
	}
}

// tell stores this node's digests, if others are stored.
func (p *Parts) tell(ctx context.Context) error {
	p.mu.Lock()
	own := p.own
	p.mu.Unlock()
	item := p.stored.Item(p.node)
	if item.Revision != 0 && item.Err == nil && maps.Equal(item.Value, own) {
		return nil
	}
	item.Name, item.Value = p.node, own
	_, err := p.stored.Put(ctx, item)
	if !errors.Is(err, store.ErrConflict) {
		return err
	}
	if err := p.stored.Refresh(ctx); err != nil { // the process before, or this node was removed meanwhile
		return err
	}
	p.look()
	return nil
}
