// Package store keeps what changes at run time and must survive a restart: settings, active copies, blocks, component
// states, overrides, log rules.
// It handles keys and bytes and does not know their meaning. The data is small (thousands of entries), so all of it is
// in memory and reads never touch the disk. A write returns when it is safely stored. [Open] keeps a store in a file;
// [Memory] keeps it in memory only; package etcdstore shares it between nodes.
package store

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// Store is a set of keys with values and revisions. It is safe for concurrent use. Values passed in and returned are
// copies.
type Store interface {
	// Get returns one entry, or ErrNotFound.
	Get(ctx context.Context, key string) (Entry, error)
	// List returns the entries whose key begins with prefix, sorted by key.
	List(ctx context.Context, prefix string) ([]Entry, error)
	Writer
	// Watch sends all entries under prefix as its first batch, which may be empty, and then the changes. A slow
	// receiver gets only the latest state of each key and never delays a writer. The channel is closed when ctx ends
	// or the store closes.
	Watch(ctx context.Context, prefix string) (<-chan []Change, error)
	// While returns this store, with the further demand that its writes only happen while another key has the given
	// revision (0: while it does not exist). Otherwise their error is ErrLost. It is not closed by itself.
	While(key string, revision uint64) Writer
	// Close ends all watches and closes the file. Later calls return ErrClosed.
	Close() error
}

// Writer is what a Store has to change entries.
type Writer interface {
	// CompareAndSet stores value if the key still has the given revision (0: the key must not exist), and returns the
	// new revision. Otherwise the error is ErrConflict. After an error that is none of this package's, the value may
	// have been stored.
	CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error)
	// Delete removes the key if it still has the given revision. Otherwise the error is ErrConflict.
	Delete(ctx context.Context, key string, revision uint64) error
}

// Entry is one key with its value.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64 // increases with every change of the store; never reused for a key
}

// Under says whether a key begins with one of some prefixes.
func Under(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// Change is the latest state of a key. For a deleted key, Value is nil and Revision is that of the deletion.
type Change struct {
	Entry
	Deleted bool
}

// Limits of keys and values, in bytes.
const (
	MaxKey   = 512
	MaxValue = 1 << 20
)

// Aside begins the keys of entries that few processes need, and those rarely. A store that is elsewhere, and that each
// process has a copy of, leaves them out of the copy: reading them asks the store, and may fail. It sorts behind what
// other keys begin with.
const Aside = "~"

// Errors of calls, besides those of the disk.
var (
	ErrNotFound = errors.New("store: no such key")
	ErrConflict = errors.New("store: the entry has changed since it was read")
	ErrLost     = errors.New("store: another entry, on which the change depends, has changed")
	// ErrAway comes from a store that is elsewhere and cannot be reached. A change may have been made all the same.
	ErrAway = errors.New("the store cannot be reached")
	// ErrFull comes from a store that can be read and takes no change. The change was not made.
	ErrFull    = errors.New("the store takes no change")
	ErrClosed  = errors.New("store: closed")
	ErrInvalid = errors.New("store: key or value out of bounds")
	ErrLocked  = errors.New("another Portico is running with this data_dir")
)
