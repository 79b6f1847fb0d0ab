package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Set is the entries below a prefix, as values of one type. The name of an entry is its key without the prefix. A Set
// has no state of its own: two of the same prefix show the same. It is safe for concurrent use.
type Set[T any] struct {
	store  Store
	prefix string
	write  func(T) ([]byte, error)
	read   func([]byte) (T, error) // with an error, the value is not used
}

// SetOf returns the entries of a store whose keys begin with prefix. They are kept as JSON.
func SetOf[T any](s Store, prefix string) Set[T] {
	return Set[T]{s, prefix, func(value T) ([]byte, error) { return json.Marshal(value) },
		func(text []byte) (value T, err error) {
			err = json.Unmarshal(text, &value)
			return value, err
		}}
}

// TextSetOf is SetOf for entries that have a form of their own in the store.
func TextSetOf[T any](s Store, prefix string, write func(T) string, read func(string) (T, error)) Set[T] {
	return Set[T]{s, prefix, func(value T) ([]byte, error) { return []byte(write(value)), nil },
		func(text []byte) (T, error) { return read(string(text)) }}
}

// Item is an entry of a Set.
type Item[T any] struct {
	Name     string
	Value    T
	Revision uint64 // 0: the entry does not exist
	Err      error  // why the value cannot be read; Value is then its type's zero
}

// Get returns an entry, with revision 0 if there is none. The error is the store's.
func (s Set[T]) Get(ctx context.Context, name string) (Item[T], error) {
	entry, err := s.store.Get(ctx, s.prefix+name)
	if errors.Is(err, ErrNotFound) {
		return Item[T]{Name: name}, nil
	}
	if err != nil {
		return Item[T]{Name: name}, err
	}
	return s.item(entry), nil
}

// List returns all entries, sorted by name, including those that cannot be read.
func (s Set[T]) List(ctx context.Context) ([]Item[T], error) {
	entries, err := s.store.List(ctx, s.prefix)
	if err != nil {
		return nil, err
	}
	items := make([]Item[T], 0, len(entries))
	for _, e := range entries {
		items = append(items, s.item(e))
	}
	return items, nil
}

// Put stores an item's value and returns the item with its new revision, if the entry still has the item's revision.
// Otherwise the error is ErrConflict.
func (s Set[T]) Put(ctx context.Context, item Item[T]) (Item[T], error) {
	text, err := s.write(item.Value)
	if err != nil {
		return item, fmt.Errorf("store: %s: %w", s.prefix+item.Name, err)
	}
	revision, err := s.store.CompareAndSet(ctx, s.prefix+item.Name, item.Revision, text)
	if err != nil {
		return item, err
	}
	item.Revision, item.Err = revision, nil
	return item, nil
}

// Remove deletes an entry if it still has the item's revision. Otherwise the error is ErrConflict. An item of revision
// 0 did not exist when it was read, so nothing is deleted.
func (s Set[T]) Remove(ctx context.Context, item Item[T]) error {
	if item.Revision == 0 {
		return nil
	}
	return s.store.Delete(ctx, s.prefix+item.Name, item.Revision)
}

// Replace stores a value, whatever the entry's revision: for entries that only one process writes, or whose last
// writer wins.
func (s Set[T]) Replace(ctx context.Context, name string, value T) error {
	item, err := s.Get(ctx, name)
	if err == nil {
		item.Value = value
		_, err = s.Put(ctx, item)
	}
	return err
}

// Drop deletes an entry, whatever its revision, if it exists.
func (s Set[T]) Drop(ctx context.Context, name string) error {
	item, err := s.Get(ctx, name)
	if err == nil {
		err = s.Remove(ctx, item)
	}
	return err
}

// Watch sends all entries as its first batch, which may be empty, and then the changes. An item of revision 0 was
// deleted. A slow receiver gets only the latest state of each entry. The channel is closed when ctx ends or the store
// closes.
func (s Set[T]) Watch(ctx context.Context) (<-chan []Item[T], error) {
	changes, err := s.store.Watch(ctx, s.prefix)
	if err != nil {
		return nil, err
	}
	out := make(chan []Item[T])
	go func() {
		defer close(out)
		for batch := range changes { // it is closed when ctx ends
			items := make([]Item[T], 0, len(batch))
			for _, c := range batch {
				if c.Deleted {
					items = append(items, Item[T]{Name: strings.TrimPrefix(c.Key, s.prefix)})
				} else {
					items = append(items, s.item(c.Entry))
				}
			}
			select {
			case out <- items:
			case <-ctx.Done():
				for range changes {
				}
			}
		}
	}()
	return out, nil
}

func (s Set[T]) nameOf(e Entry) string { return strings.TrimPrefix(e.Key, s.prefix) }

func (s Set[T]) item(e Entry) Item[T] {
	item := Item[T]{Name: s.nameOf(e), Revision: e.Revision}
	if value, err := s.read(e.Value); err != nil {
		item.Err = fmt.Errorf("%s: %w", e.Key, err)
	} else {
		item.Value = value
	}
	return item
}

// One is a single entry, as a value of one type that is stored as JSON. It is safe for concurrent use.
type One[T any] struct{ set Set[T] }

// OneOf returns the entry of a store at a key.
func OneOf[T any](s Store, key string) One[T] { return One[T]{SetOf[T](s, key)} }

// Get returns the entry; see [Set.Get].
func (o One[T]) Get(ctx context.Context) (Item[T], error) { return o.set.Get(ctx, "") }

// Put stores the entry; see [Set.Put].
func (o One[T]) Put(ctx context.Context, item Item[T]) (Item[T], error) { return o.set.Put(ctx, item) }

// Watch sends the entry if it exists, and then again after each change. Revision 0 says that it was deleted. A slow
// receiver gets only the latest state. The channel is closed when ctx ends or the store closes.
func (o One[T]) Watch(ctx context.Context) (<-chan Item[T], error) {
	batches, err := o.set.Watch(ctx)
	if err != nil {
		return nil, err
	}
	out := make(chan Item[T])
	go func() {
		defer close(out)
		for batch := range batches { // it is closed when ctx ends
			for _, item := range batch {
				if item.Name != "" { // another entry, whose key begins with this one
					continue
				}
				select {
				case out <- item:
				case <-ctx.Done():
				}
			}
		}
	}()
	return out, nil
}
