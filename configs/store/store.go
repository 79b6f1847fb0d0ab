// Package store keeps what changes at run time and must survive a restart:
// settings, active copies, blocks, component states, overrides, log rules.
//
// It knows keys and bytes, not what they mean. The data is small (thousands of
// entries), so all of it lives in memory and reads never touch the disk; a
// write returns when it is safely stored. [Open] keeps it in a file, [Memory]
// nowhere.
package store

import (
	"context"
	"errors"
)

// Store is a set of keys with values and revisions. Its methods may be called
// from several goroutines; values handed in and out are copies.
type Store interface {
	// Get returns one entry, or ErrNotFound.
	Get(ctx context.Context, key string) (Entry, error)
	// List returns the entries whose key begins with prefix, sorted by key.
	List(ctx context.Context, prefix string) ([]Entry, error)
	// CompareAndSet stores value if the key's revision is still the given one
	// (0: the key must not exist) and returns the new revision; else ErrConflict.
	CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error)
	// Delete removes the key if its revision is still the given one; else ErrConflict.
	Delete(ctx context.Context, key string, revision uint64) error
	// Watch sends what there is under prefix as its first batch (which may be
	// empty) and then what changes. A slow receiver gets only the latest state of
	// each key and never holds up a writer. The channel is closed when ctx ends
	// or the store closes.
	Watch(ctx context.Context, prefix string) (<-chan []Change, error)
	// Close ends all watches and frees the file. Other calls then give ErrClosed.
	Close() error
}

// Entry is one key with what it holds.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64 // grows with every change of the store; never reused for a key
}

// Change is the latest state of a key. For a deleted one Value is nil and
// Revision that of the deletion.
type Change struct {
	Entry
	Deleted bool
}

// Bounds of what a store takes, in bytes.
const (
	MaxKey   = 512
	MaxValue = 1 << 20
)

// What can go wrong with a call, beside the disk.
var (
	ErrNotFound = errors.New("store: no such key")
	ErrConflict = errors.New("store: the entry has changed since it was read")
	ErrClosed   = errors.New("store: closed")
	ErrInvalid  = errors.New("store: key or value out of bounds")
	ErrLocked   = errors.New("another Portico is running with this data_dir")
)
