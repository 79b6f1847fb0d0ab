// Package overrides keeps what operators have set otherwise for probes and monitors of a site. The overrides are kept
// in the store and survive a restart; what they do to a plan is in health.Plan.With.
package overrides

import (
	"context"
	"fmt"
	"time"

	"portico/configs/store"
	"portico/health"
)

// Options is what a Set is built from.
type Options struct {
	Stored  store.Set[health.Override] // by Override.Key
	Version string                     // of this program
	// Changed is called when other overrides are in force, one call at a time. It must not change them.
	Changed func()
	Ended   func(health.Override) // called for each that has come to its end; may be nil
	Failed  func(error)           // told what cannot be read; nil tells nobody
	Now     func() time.Time
}

// Set is the overrides of a site. Its methods are safe for concurrent use.
type Set struct {
	opt    Options
	mirror *store.Mirror[health.Override]
}

// Open reads the overrides.
func Open(ctx context.Context, o Options) (*Set, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Ended == nil {
		o.Ended = func(health.Override) {}
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	mirror, err := store.NewMirror(ctx, o.Stored, store.MirrorOptions{Changed: o.Changed, Failed: o.Failed})
	return &Set{o, mirror}, err
}

// endEach is how often overrides that have come to their end are deleted.
const endEach = 10 * time.Second

// Run follows the store and deletes overrides that have come to their end, until ctx ends.
func (s *Set) Run(ctx context.Context) {
	s.end(ctx)
	s.mirror.RunEach(ctx, endEach, func() { s.end(ctx) })
}

// end deletes what has come to its end. If the store cannot delete it, it is not in force all the same, and the next
// look tries again.
func (s *Set) end(ctx context.Context) {
	failed := false
	for _, item := range s.mirror.All() {
		if !item.Value.Over(s.opt.Now(), s.opt.Version) {
			continue
		}
		if err := s.mirror.Remove(ctx, item); err == nil { // which calls Changed
			s.opt.Ended(item.Value)
		} else {
			failed = true
		}
	}
	if failed && ctx.Err() == nil {
		s.mirror.Tell()
	}
}

// InForce lists the overrides that have not come to their end, by key.
func (s *Set) InForce() []health.Override {
	all := []health.Override{}
	for _, item := range s.mirror.All() {
		if !item.Value.Over(s.opt.Now(), s.opt.Version) {
			all = append(all, item.Value)
		}
	}
	return all
}

// Add stores an override in the place of the one for the same property of the same item. The caller has held it
// against the plan (health.Plan.Check). Was is what the store had, with revision 0 if nothing; added has the time of
// now.
func (s *Set) Add(ctx context.Context, o health.Override) (was store.Item[health.Override], added health.Override,
	err error) {
	o.Created = s.opt.Now().UTC().Truncate(time.Millisecond)
	if was, err = s.mirror.Get(ctx, o.Key()); err != nil {
		return was, o, err
	}
	item := was
	item.Value = o
	_, err = s.mirror.Put(ctx, item)
	return was, o, err
}

// Remove deletes the override of an item's property, and returns what the store had. An error that wraps
// health.ErrUnknown says that there is none.
func (s *Set) Remove(ctx context.Context, o health.Override) (was store.Item[health.Override], err error) {
	if was, err = s.mirror.Get(ctx, o.Key()); err != nil {
		return was, err
	}
	if was.Revision == 0 {
		return was, health.Unknown(fmt.Sprintf("there is no override of %s's %s", o.Identity, o.Property))
	}
	return was, s.mirror.Remove(ctx, was)
}
