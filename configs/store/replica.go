package store

import "context"

// Replica is what this process knows of a store that is elsewhere. It has the reading half of a Store, and takes what
// has changed there. It is safe for concurrent use.
type Replica struct{ m *memory }

// NewReplica returns a replica of an empty store.
func NewReplica() *Replica {
	return &Replica{newMemory(nil, 0, nil, func() error { return nil })}
}

// Get returns one entry, or ErrNotFound.
func (r *Replica) Get(ctx context.Context, key string) (Entry, error) { return r.m.Get(ctx, key) }

// List returns the entries whose key begins with prefix, sorted by key.
func (r *Replica) List(ctx context.Context, prefix string) ([]Entry, error) {
	return r.m.List(ctx, prefix)
}

// Watch sends all entries under prefix, and then what Apply changes; see Store.
func (r *Replica) Watch(ctx context.Context, prefix string) (<-chan []Change, error) {
	return r.m.Watch(ctx, prefix)
}

// Apply takes changes in, in the order of their revisions. It owns the values from then on.
func (r *Replica) Apply(changes ...Change) {
	for _, c := range changes {
		r.m.publish(c)
	}
}

// Usable returns why a call may not continue: ErrClosed, or the error of ctx.
func (r *Replica) Usable(ctx context.Context) error {
	r.m.mu.RLock()
	defer r.m.mu.RUnlock()
	return r.m.usable(ctx)
}

// Close ends all watches. Later calls return ErrClosed.
func (r *Replica) Close() error { return r.m.Close() }
