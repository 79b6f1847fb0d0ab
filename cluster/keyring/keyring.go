// Package keyring keeps a few secret keys that the nodes of a site share and change in turn, in the store of the site:
// the first key seals, and all of them open. A new key only opens for a minute before it seals, so that all nodes know
// it by then.
//
// One node changes the keys, the leader; if there is no leader, whoever is first. The package does not know what is
// sealed.
package keyring

import (
	"context"
	"errors"
	"io"
	"time"

	"portico/configs/store"
)

// Size is the length of a key in bytes.
const Size = 32

// number is how many keys there are, once all have been made.
const number = 3

// Times of a change.
const (
	opensOnly = time.Minute      // how long a new key opens before it seals
	look      = 10 * time.Second // how often a node looks whether a change is due
)

// Options of a Ring. All are needed but Leads.
type Options struct {
	Store  store.Store
	Key    string        // where the store has the keys
	Every  time.Duration // between changes
	Leads  func() bool   // whether this node is the leader; nil if there is none
	Use    func(keys [][Size]byte)
	Random io.Reader
	Failed func(error) // told what cannot be read or stored
}

// ring is what the store has.
type ring struct {
	Keys  [][]byte  `json:"keys"`
	New   bool      `json:"new,omitempty"` // the second key is new, and seals next
	Since time.Time `json:"since"`         // when the first key has begun to seal
}

// Ring follows the keys, and changes them when that is due. It belongs to the goroutine of Run.
type Ring struct {
	opt  Options
	one  store.One[ring]
	now  store.Item[ring]
	seen time.Time // when this node has seen them first
}

// New returns the keys that a store has.
func New(o Options) *Ring { return &Ring{opt: o, one: store.OneOf[ring](o.Store, o.Key)} }

// Run follows and changes the keys until ctx ends or the store closes.
func (r *Ring) Run(ctx context.Context) {
	changes, err := r.one.Watch(ctx)
	if err != nil {
		r.opt.Failed(err)
		return
	}
	if r.now, err = r.one.Get(ctx); err != nil {
		r.opt.Failed(err)
		return
	}
	r.seen = time.Now()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if err := r.change(ctx); err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrAway) {
			r.opt.Failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case item, open := <-changes:
			if !open {
				return
			}
			r.take(item)
		case <-tick.C:
		}
	}
}

// take uses the keys that the store has now. If it has none that can be read, those before stay in use.
func (r *Ring) take(item store.Item[ring]) {
	r.now, r.seen = item, time.Now()
	if item.Err != nil {
		r.opt.Failed(item.Err)
	}
	if !usable(item) {
		return
	}
	keys := make([][Size]byte, len(item.Value.Keys))
	for i, key := range item.Value.Keys {
		copy(keys[i][:], key)
	}
	r.opt.Use(keys)
}

func usable(item store.Item[ring]) bool {
	for _, key := range item.Value.Keys {
		if len(key) != Size {
			return false
		}
	}
	return item.Revision != 0 && item.Err == nil && len(item.Value.Keys) > 0 &&
		(!item.Value.New || len(item.Value.Keys) > 1)
}

// change makes the change that is due, if any. The keys that result come by take.
func (r *Ring) change(ctx context.Context) error {
	next := r.now
	now := time.Now()
	switch {
	case !usable(r.now): // whoever is first
		key, err := r.make()
		if err != nil {
			return err
		}
		next.Value = ring{Keys: [][]byte{key}, Since: now.UTC()}
	case r.opt.Leads != nil && !r.opt.Leads():
		return nil
	case next.Value.New && now.Sub(r.seen) >= opensOnly:
		keys := append([][]byte{}, next.Value.Keys...)
		keys[0], keys[1] = keys[1], keys[0]
		next.Value = ring{Keys: keys, Since: now.UTC()}
	case !next.Value.New && r.due(now):
		key, err := r.make()
		if err != nil {
			return err
		}
		keys := append([][]byte{next.Value.Keys[0], key}, next.Value.Keys[1:]...)
		next.Value.Keys, next.Value.New = keys[:min(len(keys), number)], true
	default:
		return nil
	}
	_, err := r.one.Put(ctx, next)
	return err
}

// due says whether the first key is old. A time that is far ahead comes from a node whose clock was wrong.
func (r *Ring) due(now time.Time) bool {
	age := now.Sub(r.now.Value.Since)
	return age >= r.opt.Every || age < -r.opt.Every
}

func (r *Ring) make() ([]byte, error) {
	key := make([]byte, Size)
	_, err := io.ReadFull(r.opt.Random, key)
	return key, err
}
