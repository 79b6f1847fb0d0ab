package site

import (
	"context"
	"errors"
	"fmt"
	"time"

	"portico/cluster"
	"portico/cluster/seal"
	"portico/cmd/portico/datadir"
	"portico/configs/store"
)

// Site is a site's store, as a node that may not be in it sees it.
type Site struct {
	raw    store.Store // etcd
	store  store.Store // the same, with what is sealed opened
	name   string      // of this node
	secret string
	now    func() time.Time
}

// New returns a site in a store, as a node with these options sees it.
func New(raw store.Store, o Options, now func() time.Time) *Site {
	secret := o.Secret.Reveal()
	return &Site{raw, seal.Store(raw, secret, datadir.Secrets...), o.Name, secret, now}
}

// Store returns the site's store, with what is sealed opened. It is closed with the one that New got.
func (s *Site) Store() store.Store { return s.store }

// view is what etcd and data_dir say about each other.
type view struct {
	site store.Item[meta]
	mine store.Item[marker]
}

// here reports whether the site in etcd is the one that data_dir names.
func (v view) here() bool {
	return v.site.Revision != 0 && v.mine.Revision != 0 && v.site.Value.ID == v.mine.Value.Site
}

// look reads what etcd and data_dir say about each other. A node must have the secret of a site that is open. If Init
// was ended before it could say in data_dir that it was done, look says so.
func (s *Site) look(ctx context.Context, local store.Store) (v view, err error) {
	if v.mine, err = markerIn(ctx, local); err != nil {
		return v, err
	}
	v.site, err = read(ctx, metaOf(s.raw), "the site's entry in etcd")
	if err != nil || v.site.Revision == 0 || v.site.Value.State == filling {
		return v, err
	}
	if err = seal.Check(ctx, s.raw, s.secret); errors.Is(err, seal.ErrSecret) {
		err = errUnsealed
	}
	if err == nil && v.here() && v.mine.Value.State == beginning {
		v.mine, err = mark(ctx, local, v.mine, v.mine.Value.Site, joined)
	}
	return v, err
}

// usable returns an error unless nodes may join the site.
func usable(site store.Item[meta]) error {
	by, at := site.Value.By, site.Value.Since.Format(time.RFC3339)
	switch {
	case site.Revision == 0:
		return fmt.Errorf("etcd has no site under cluster.etcd.prefix: %w", errNoSite)
	case site.Value.State == filling:
		return fmt.Errorf("node %s has begun the site at %s and not finished: run portico cluster init there again",
			by, at)
	case site.Value.State == ended:
		return fmt.Errorf("node %s, the last of the site, has left it at %s: %w", by, at, errNoSite)
	}
	return nil
}

// Enter makes sure that the node may start with the entries of the site. A node without entries of its own joins. The
// machine tells this node from another one of the same name.
func (s *Site) Enter(ctx context.Context, local store.Store) (machine string, err error) {
	v, err := s.look(ctx, local)
	if err == nil {
		err = usable(v.site)
	}
	switch {
	case err != nil:
		return "", err
	case v.mine.Revision == 0 || v.mine.Value.State == beginning:
		entries, err := entriesOf(ctx, local)
		if err == nil && len(entries) > 0 {
			err = fmt.Errorf("this node has not joined the site, and has entries of its own: %w", errNotYet)
		}
		if err == nil {
			v.mine, err = mark(ctx, local, v.mine, v.site.Value.ID, joined)
		}
		return v.mine.Value.Machine, err
	case !v.here():
		return "", errOther
	case v.mine.Value.State == leaving:
		return "", errLeaving
	}
	return v.mine.Value.Machine, nil
}

// Alone makes sure that a node without a site may start with the entries in data_dir.
func Alone(ctx context.Context, local store.Store) error {
	mine, err := markerIn(ctx, local)
	if err == nil && mine.Revision != 0 {
		err = errInSite
	}
	return err
}

// Done is what Init, Join or Leave has done.
type Done struct {
	Site    string   `json:"site"`             // its ID; "" if the node was in none
	Already bool     `json:"already"`          // nothing was to be done
	Changed int      `json:"changed"`          // entries that were copied or removed
	Others  []string `json:"others,omitempty"` // other nodes of the site
}

// others lists the other nodes of the site.
func (s *Site) others(ctx context.Context) (names []string, err error) {
	all, err := cluster.Registered(ctx, s.raw)
	for _, node := range all {
		if node.Name != s.name {
			names = append(names, node.Name)
		}
	}
	return names, err
}
