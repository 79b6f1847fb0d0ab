package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// memory is the store itself. commit makes a change durable before it becomes visible; a store in a file has its own.
type memory struct {
	commit func(Change) error
	free   func() error // called once by Close, after the last commit

	writing sync.Mutex // held across commit; always taken before mu

	mu       sync.RWMutex // guards the rest; never held across commit
	entries  map[string]Entry
	revision uint64
	watchers map[*watcher]struct{}
	watching sync.WaitGroup
	done     chan struct{} // closed by Close
}

var _ Store = (*memory)(nil)

// Memory returns an empty store whose content is lost when it is closed.
func Memory() Store {
	return newMemory(nil, 0, func(Change) error { return nil }, func() error { return nil })
}

func newMemory(entries map[string]Entry, revision uint64, commit func(Change) error, free func() error) *memory {
	if entries == nil {
		entries = make(map[string]Entry)
	}
	return &memory{
		commit: commit, free: free,
		entries: entries, revision: revision,
		watchers: make(map[*watcher]struct{}), done: make(chan struct{}),
	}
}

func (m *memory) Get(ctx context.Context, key string) (Entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return Entry{}, err
	}
	e, ok := m.entries[key]
	if !ok {
		return Entry{}, fmt.Errorf("%w: %q", ErrNotFound, key)
	}
	return e.clone(), nil
}

func (m *memory) List(ctx context.Context, prefix string) ([]Entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	return m.under(prefix), nil
}

func (m *memory) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	return memoryWriter{m: m}.CompareAndSet(ctx, key, revision, value)
}

func (m *memory) Delete(ctx context.Context, key string, revision uint64) error {
	return memoryWriter{m: m}.Delete(ctx, key, revision)
}

func (m *memory) While(key string, revision uint64) Writer {
	return memoryWriter{m, &demand{key, revision}}
}

// memoryWriter changes entries while a demand is met.
type memoryWriter struct {
	m     *memory
	while *demand // nil for none
}

// demand is that a key has a revision.
type demand struct {
	key      string
	revision uint64
}

func (w memoryWriter) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	if err := CheckBounds(key, value); err != nil {
		return 0, err
	}
	return w.m.change(ctx, w.while, revision, Change{Entry: Entry{Key: key, Value: bytesOf(value)}})
}

func (w memoryWriter) Delete(ctx context.Context, key string, revision uint64) error {
	if revision == 0 { // this would delete what does not exist
		return fmt.Errorf("%w: %q", ErrConflict, key)
	}
	_, err := w.m.change(ctx, w.while, revision, Change{Entry: Entry{Key: key}, Deleted: true})
	return err
}

// CheckBounds returns ErrInvalid for a key or value that no store takes.
func CheckBounds(key string, value []byte) error {
	if key == "" || len(key) > MaxKey || len(value) > MaxValue {
		return fmt.Errorf("%w: key of %d bytes, value of %d", ErrInvalid, len(key), len(value))
	}
	return nil
}

// change commits and then publishes one change. Only the holder of writing changes entries, so the comparisons are
// still valid after the commit.
func (m *memory) change(ctx context.Context, while *demand, revision uint64, c Change) (uint64, error) {
	m.writing.Lock()
	defer m.writing.Unlock()

	m.mu.RLock()
	err := m.usable(ctx)
	current := m.entries[c.Key].Revision
	if d := while; d != nil && err == nil && m.entries[d.key].Revision != d.revision {
		err = fmt.Errorf("%w: %q is at revision %d, not %d", ErrLost, d.key, m.entries[d.key].Revision, d.revision)
	}
	c.Revision = m.revision + 1
	m.mu.RUnlock()
	if err != nil {
		return 0, err
	}
	if current != revision {
		return 0, fmt.Errorf("%w: %q is at revision %d, not %d", ErrConflict, c.Key, current, revision)
	}
	if err := m.commit(c); err != nil {
		return 0, fmt.Errorf("store: writing %q: %w", c.Key, err)
	}
	m.publish(c)
	return c.Revision, nil
}

func (m *memory) publish(c Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revision = c.Revision
	if c.Deleted {
		delete(m.entries, c.Key)
	} else {
		m.entries[c.Key] = c.Entry
	}
	for w := range m.watchers {
		if strings.HasPrefix(c.Key, w.prefix) {
			w.put(c)
		}
	}
}

func (m *memory) Close() error {
	m.writing.Lock() // waits for a commit under way
	defer m.writing.Unlock()
	return m.end()
}

// end is Close for a caller who holds writing.
func (m *memory) end() error {
	m.mu.Lock()
	select {
	case <-m.done:
		m.mu.Unlock()
		return ErrClosed
	default:
	}
	close(m.done)
	m.mu.Unlock()
	m.watching.Wait()
	return m.free()
}

// usable reports whether a call may continue. The caller holds mu.
func (m *memory) usable(ctx context.Context) error {
	select {
	case <-m.done:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

// under returns the entries below prefix. The caller holds mu.
func (m *memory) under(prefix string) []Entry {
	var found []Entry
	for key, e := range m.entries {
		if strings.HasPrefix(key, prefix) {
			found = append(found, e.clone())
		}
	}
	slices.SortFunc(found, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return found
}

func (e Entry) clone() Entry {
	e.Value = bytesOf(e.Value)
	return e
}

// bytesOf copies a value. The copy is never nil, because nil means deleted.
func bytesOf(value []byte) []byte { return append([]byte{}, value...) }
