package site

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"portico/cluster"
	"portico/cluster/seal"
	"portico/configs/store"
)

// Init makes a site of a node: etcd gets the shared entries of its data_dir. Those in data_dir stay, and are not in
// force any more. After a crash, Init goes on where it was.
func (s *Site) Init(ctx context.Context, local store.Store) (done Done, err error) {
	v, err := s.look(ctx, local)
	if err != nil {
		return done, err
	}
	switch done.Site = v.mine.Value.Site; {
	case v.mine.Revision == 0 || v.mine.Value.State == beginning && !v.here():
		if err = s.begin(ctx, local, &v); err != nil {
			return done, err
		}
		done.Site = v.mine.Value.Site
	case !v.here():
		return done, errOther
	case v.mine.Value.State == leaving:
		return done, errLeaving
	case v.mine.Value.State == joined:
		done.Already = true
		return done, usable(v.site)
	}
	if done.Changed, err = s.fill(ctx, local, v.site); err == nil {
		_, err = mark(ctx, local, v.mine, done.Site, joined)
	}
	return done, err
}

// begin begins a new site, where there is none.
func (s *Site) begin(ctx context.Context, local store.Store, v *view) (err error) {
	switch {
	case v.site.Revision == 0:
		err = s.empty(ctx)
	case v.site.Value.State == filling:
		err = usable(v.site)
	case v.site.Value.State == open:
		err = fmt.Errorf("node %s has begun a site in etcd already, at %s: %w", v.site.Value.By,
			v.site.Value.Since.Format(time.RFC3339), errNotYet)
	}
	if err != nil {
		return err
	}
	id := rand.Text() // it is in data_dir first: after a crash, this node knows the site in etcd as its own
	if v.mine, err = mark(ctx, local, v.mine, id, beginning); err != nil {
		return err
	}
	v.site.Value = meta{ID: id, State: filling, By: s.name, Since: s.now().UTC()}
	v.site, err = metaOf(s.raw).Put(ctx, v.site)
	return err
}

// empty returns an error if etcd has something, but no site.
func (s *Site) empty(ctx context.Context) error {
	all, err := s.raw.List(ctx, "")
	if err == nil && len(all) > 0 {
		err = fmt.Errorf("etcd has no site under cluster.etcd.prefix but %d other entries, such as %q: choose another "+
			"prefix", len(all), all[0].Key)
	}
	return err
}

// fill copies the shared entries to etcd, and opens the site.
func (s *Site) fill(ctx context.Context, local store.Store, of store.Item[meta]) (changed int, err error) {
	entries, err := entriesOf(ctx, local)
	if err != nil {
		return 0, err
	}
	changed, err = replace(ctx, s.store, s.store.While(metaKey, of.Revision), entries)
	if err != nil {
		return changed, err
	}
	proof, err := s.raw.Get(ctx, seal.CheckKey)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return changed, err
	}
	_, err = s.raw.While(metaKey, of.Revision).CompareAndSet(ctx, seal.CheckKey, proof.Revision, seal.Proof(s.secret))
	if err == nil {
		of.Value.State = open
		_, err = metaOf(s.raw).Put(ctx, of)
	}
	return changed, err
}

// Join takes a node into a site. Its shared entries in data_dir must be none, or equal to the site's; if not, the error
// is a *Differ. With discard they may differ. They stay in data_dir, and are not in force any more.
func (s *Site) Join(ctx context.Context, local store.Store, discard bool) (done Done, err error) {
	v, err := s.look(ctx, local)
	if err == nil {
		err = usable(v.site)
	}
	if err != nil {
		return done, err
	}
	done.Site = v.site.Value.ID
	if done.Others, err = s.others(ctx); err != nil {
		return done, err
	}
	switch {
	case v.mine.Revision == 0 || v.mine.Value.State == beginning:
	case !v.here():
		return done, errOther
	case v.mine.Value.State == leaving:
		return done, errLeaving
	default:
		done.Already = true
		return done, nil
	}
	if !discard {
		if err := s.compare(ctx, local); err != nil {
			return done, err
		}
	}
	_, err = mark(ctx, local, v.mine, done.Site, joined)
	return done, err
}

// Leave takes a node out of its site: data_dir gets the site's shared entries, and etcd forgets the node, which must
// not run. If it was the last one, the site has ended. If the entries in data_dir have been changed since they were in
// force, and are not the site's, the error is a *Differ; with discard, the site's replace them. After a crash, Leave
// goes on where it was. It also undoes an Init that has not finished. keep is called before data_dir changes.
func (s *Site) Leave(ctx context.Context, local store.Store, discard bool, keep func() error) (done Done, err error) {
	v, err := s.look(ctx, local)
	switch {
	case err != nil:
		return done, err
	case v.mine.Revision == 0:
		done.Already = true
		return done, nil
	case v.mine.Value.State == beginning: // the entries of data_dir are in force
	case !v.here():
		return done, errors.New("the site in etcd is not this node's: check cluster.etcd")
	default:
		if done.Changed, err = s.takeBack(ctx, local, &v, discard, keep); err != nil {
			return done, err
		}
		if err := s.unregister(ctx, v.mine.Value.Machine); err != nil {
			return done, err
		}
	}
	done.Site = v.mine.Value.Site
	if done.Others, err = s.others(ctx); err != nil {
		return done, err
	}
	if len(done.Others) == 0 && v.here() && v.site.Value.State != ended {
		v.site.Value.State, v.site.Value.By, v.site.Value.Since = ended, s.name, s.now().UTC()
		if _, err := metaOf(s.raw).Put(ctx, v.site); err != nil {
			return done, err
		}
	}
	if err = local.Delete(ctx, markerKey, v.mine.Revision); err == nil && v.here() && len(done.Others) > 0 {
		err = s.dropLadders(ctx)
	}
	return done, err
}

// dropLadders removes the ladders of this node's own front end from etcd, once data_dir has them.
func (s *Site) dropLadders(ctx context.Context) error {
	all, err := s.raw.List(ctx, laddersKey+s.name+":")
	for _, entry := range all {
		err = errors.Join(err, drop(ctx, s.raw, entry.Key))
	}
	return err
}

// takeBack copies the site's shared entries to data_dir.
func (s *Site) takeBack(ctx context.Context, local store.Store, v *view, discard bool, keep func() error) (changed int,
	err error) {
	own, err := entriesOf(ctx, local)
	if err != nil {
		return 0, err
	}
	if v.mine.Value.State == joined && sum(own) != v.mine.Value.Sum && !discard {
		if err := s.compare(ctx, local); err != nil {
			return 0, err
		}
	}
	if err := keep(); err != nil {
		return 0, err
	}
	v.mine.Value.State = leaving
	if v.mine, err = store.OneOf[marker](local, markerKey).Put(ctx, v.mine); err != nil {
		return 0, err
	}
	theirs, err := entriesOf(ctx, s.store)
	if err != nil {
		return 0, err
	}
	return replace(ctx, local, local, theirs)
}

// unregister removes this node's registration. The node does not run, since data_dir is locked; but another machine may
// run by its name.
func (s *Site) unregister(ctx context.Context, machine string) error {
	all, err := cluster.Registered(ctx, s.raw)
	if err != nil {
		return err
	}
	for _, node := range all {
		if node.Name != s.name || cmp.Or(node.Value.Machine, machine) != machine {
			continue
		}
		err = Remove(ctx, s.raw, node.Value, true)
		if errors.Is(err, cluster.ErrPresent) {
			return fmt.Errorf("%w: it counts as present for some 10 seconds after it was killed, so try again", err)
		}
		return err
	}
	return nil
}
