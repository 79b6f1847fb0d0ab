package site

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"

	"portico/configs/store"
)

// Keys of what a site and a node say about each other. After a crash nothing is in doubt: etcd says whether the site
// has all its entries, and data_dir which ones are in force on this node.
const (
	metaKey   = "meta"         // of etcd: meta
	markerKey = "cluster/site" // of data_dir: marker
)

// meta is what etcd has of a site as a whole.
type meta struct {
	ID    string    `json:"id"`    // random: it tells sites apart
	State siteState `json:"state"` // whether nodes may join
	By    string    `json:"by"`    // the node that has made it so
	Since time.Time `json:"since"` // when, by that node's clock
}

// siteState is whether nodes may join a site.
type siteState string

const (
	filling siteState = "filling" // its first node has not copied all entries yet
	open    siteState = "open"
	ended   siteState = "ended" // its last node has left
)

// marker is what data_dir has of the site that the node is in. Without it, the node is in none.
type marker struct {
	Site    string    `json:"site"` // meta.ID
	State   nodeState `json:"state"`
	Machine string    `json:"machine"` // random: it tells machines apart that have been given the same name
	Sum     string    `json:"sum"`     // of the shared entries in data_dir when they were in force last
}

// nodeState is which shared entries of a node are in force.
type nodeState string

const (
	beginning nodeState = "beginning" // those of data_dir: it is copying them to etcd
	joined    nodeState = "joined"    // those of etcd
	leaving   nodeState = "leaving"   // those of etcd: it is copying them to data_dir
)

// Errors that say what to do.
var (
	errNoSite   = errors.New("run portico cluster init on the node whose entries are to be the site's")
	errNotYet   = errors.New("run portico cluster join")
	errOther    = errors.New("this node is in another site: run portico cluster leave with the cluster.etcd of that")
	errLeaving  = errors.New("this node has begun to leave the site: run portico cluster leave again")
	errUnsealed = errors.New("cluster.secret_file has another secret than the site: copy it from another node")
	errInSite   = errors.New("this node is in a site, but the configuration has no cluster.etcd.endpoints: put them " +
		"back, or run portico cluster leave with them")
)

func metaOf(s store.Store) store.One[meta] { return store.OneOf[meta](s, metaKey) }

// markerIn returns what data_dir has of the node's site.
func markerIn(ctx context.Context, local store.Store) (store.Item[marker], error) {
	return read(ctx, store.OneOf[marker](local, markerKey), "the site's entry in data_dir")
}

// mark says in data_dir that this node is in a site.
func mark(ctx context.Context, local store.Store, mine store.Item[marker], site string, state nodeState) (
	store.Item[marker], error) {
	entries, err := entriesOf(ctx, local)
	if err != nil {
		return mine, err
	}
	if mine.Value.Machine == "" {
		mine.Value.Machine = rand.Text()
	}
	mine.Value.Site, mine.Value.State, mine.Value.Sum = site, state, sum(entries)
	return store.OneOf[marker](local, markerKey).Put(ctx, mine)
}

// read reads an entry that must be readable, if it exists.
func read[T any](ctx context.Context, one store.One[T], what string) (store.Item[T], error) {
	item, err := one.Get(ctx)
	if err == nil && item.Err != nil {
		err = item.Err
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return item, err
}

// entriesOf returns the shared entries of a store, by key.
func entriesOf(ctx context.Context, s store.Store) (map[string]store.Entry, error) {
	all, err := s.List(ctx, "")
	entries := make(map[string]store.Entry)
	for _, e := range all {
		if shared(e.Key) {
			entries[e.Key] = e
		}
	}
	return entries, err
}

// sum is the sum of entries, whatever their revisions.
func sum(entries map[string]store.Entry) string {
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		field(h, []byte(key))
		field(h, entries[key].Value)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func field(h hash.Hash, text []byte) { fmt.Fprintf(h, "%d %s", len(text), text) }

// Differ is the error that data_dir has entries of its own which are not the site's.
type Differ struct {
	Entries []store.Difference // Before is in data_dir, After in etcd
}

// Error implements error.
func (d *Differ) Error() string {
	return fmt.Sprintf("%d entries in data_dir are not those in etcd: nothing has changed", len(d.Entries))
}

// compare returns a *Differ if data_dir has shared entries that etcd has not, or has otherwise. What only etcd has is
// news.
func (s *Site) compare(ctx context.Context, local store.Store) error {
	own, err := entriesOf(ctx, local)
	if err != nil {
		return err
	}
	theirs, err := entriesOf(ctx, s.store)
	if err != nil {
		return err
	}
	d := &Differ{}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		there, ok := theirs[key]
		if !store.Under(key, history) && (!ok || !bytes.Equal(own[key].Value, there.Value)) {
			d.Entries = append(d.Entries, store.Difference{Key: key, Before: own[key].Value, After: there.Value})
		}
	}
	if len(d.Entries) == 0 {
		return nil
	}
	return d
}

// replace makes the shared entries of a store those that are wanted, by a writer of it, and returns how many it has
// changed.
func replace(ctx context.Context, to store.Store, by store.Writer, want map[string]store.Entry) (changed int,
	err error) {
	have, err := entriesOf(ctx, to)
	if err != nil {
		return 0, err
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		before, ok := have[key]
		if ok && bytes.Equal(before.Value, want[key].Value) {
			continue
		}
		if _, err := by.CompareAndSet(ctx, key, before.Revision, want[key].Value); err != nil {
			return changed, err
		}
		changed++
	}
	for _, key := range slices.Sorted(maps.Keys(have)) {
		if _, wanted := want[key]; wanted {
			continue
		}
		if err := by.Delete(ctx, key, have[key].Revision); err != nil {
			return changed, err
		}
		changed++
	}
	return changed, nil
}
