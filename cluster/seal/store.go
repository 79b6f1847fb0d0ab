package seal

import (
	"context"
	"slices"
	"strings"

	"portico/configs/store"
)

// Store returns a store that seals the values of keys with the given prefixes, and is otherwise s. A value that does
// not open is shown as empty: nobody must take what somebody else has put into etcd for a key of his own, and whoever
// reads the entry can replace it.
func Store(s store.Store, secret string, prefixes ...string) store.Store {
	return sealed{Store: s, writer: writer{s, newSealer(secret), prefixes}}
}

type sealed struct {
	store.Store
	writer writer
}

// Get implements store.Store.
func (s sealed) Get(ctx context.Context, key string) (store.Entry, error) {
	entry, err := s.Store.Get(ctx, key)
	s.writer.open(&entry)
	return entry, err
}

// List implements store.Store.
func (s sealed) List(ctx context.Context, prefix string) ([]store.Entry, error) {
	entries, err := s.Store.List(ctx, prefix)
	for i := range entries {
		s.writer.open(&entries[i])
	}
	return entries, err
}

// Watch implements store.Store.
func (s sealed) Watch(ctx context.Context, prefix string) (<-chan []store.Change, error) {
	batches, err := s.Store.Watch(ctx, prefix)
	if err != nil || !s.writer.below(prefix) {
		return batches, err
	}
	opened := make(chan []store.Change)
	go func() {
		defer close(opened)
		for batch := range batches {
			for i := range batch {
				if !batch[i].Deleted {
					s.writer.open(&batch[i].Entry)
				}
			}
			select {
			case opened <- batch:
			case <-ctx.Done():
				return
			}
		}
	}()
	return opened, nil
}

// CompareAndSet implements store.Writer.
func (s sealed) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	return s.writer.CompareAndSet(ctx, key, revision, value)
}

// While implements store.Store.
func (s sealed) While(key string, revision uint64) store.Writer {
	return writer{s.Store.While(key, revision), s.writer.sealer, s.writer.prefixes}
}

// writer seals what it writes.
type writer struct {
	store.Writer
	sealer   sealer
	prefixes []string
}

// CompareAndSet implements store.Writer.
func (w writer) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	if store.Under(key, w.prefixes) {
		value = w.sealer.seal(key, value)
	}
	return w.Writer.CompareAndSet(ctx, key, revision, value)
}

// below reports whether keys with a prefix may be sealed.
func (w writer) below(prefix string) bool {
	return store.Under(prefix, w.prefixes) ||
		slices.ContainsFunc(w.prefixes, func(sealed string) bool { return strings.HasPrefix(sealed, prefix) })
}

// open replaces the value of an entry that exists by what was sealed.
func (w writer) open(entry *store.Entry) {
	if entry.Revision != 0 && store.Under(entry.Key, w.prefixes) {
		value, err := w.sealer.open(entry.Key, entry.Value)
		if err != nil {
			value = []byte{}
		}
		entry.Value = value
	}
}
