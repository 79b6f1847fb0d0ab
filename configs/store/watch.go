package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
)

// watcher collects changes until its receiver takes them. The number of keys bounds its memory: a later change of a
// key replaces an earlier one.
type watcher struct {
	prefix string
	out    chan []Change
	wake   chan struct{} // holds one token while pending is not empty

	mu      sync.Mutex
	pending map[string]Change
}

func (m *memory) Watch(ctx context.Context, prefix string) (<-chan []Change, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	w := &watcher{
		prefix: prefix, out: make(chan []Change),
		wake: make(chan struct{}, 1), pending: make(map[string]Change),
	}
	for _, e := range m.under(prefix) {
		w.pending[e.Key] = Change{Entry: e}
	}
	w.wake <- struct{}{} // the first batch is due even if it is empty
	m.watchers[w] = struct{}{}
	m.watching.Go(func() { m.serve(ctx, w) })
	return w.out, nil
}

// serve sends one watcher's batches until its context ends or the store closes.
func (m *memory) serve(ctx context.Context, w *watcher) {
	defer close(w.out)
	defer func() {
		m.mu.Lock()
		delete(m.watchers, w)
		m.mu.Unlock()
	}()
	unsent := make(map[string]Change)
	var batch []Change
	var out chan []Change // nil while there is nothing to send
	first := true
	for {
		select {
		case <-w.wake: // also while out waits, so that it sends the latest state
			if batch = w.take(unsent); first || len(batch) > 0 { // else an earlier token has announced the same
				out = w.out
			}
		case out <- batch:
			clear(unsent)
			batch, out, first = nil, nil, false
		case <-ctx.Done():
			return
		case <-m.done:
			return
		}
	}
}

// put adds a change. It never blocks.
func (w *watcher) put(c Change) {
	w.mu.Lock()
	if !c.Deleted {
		c.Entry = c.clone()
	}
	w.pending[c.Key] = c
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take moves the pending changes to unsent, and returns those in the order of revisions.
func (w *watcher) take(unsent map[string]Change) []Change {
	w.mu.Lock()
	maps.Copy(unsent, w.pending)
	clear(w.pending)
	w.mu.Unlock()
	return slices.SortedFunc(maps.Values(unsent), func(a, b Change) int {
		return cmp.Compare(a.Revision, b.Revision)
	})
}
