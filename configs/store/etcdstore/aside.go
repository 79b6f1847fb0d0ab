package etcdstore

import (
	"context"
	"maps"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"portico/configs/store"
	"portico/sleep"
)

// isAside says whether entries of a key, or below a prefix, are not followed.
func isAside(key string) bool { return strings.HasPrefix(key, store.Aside) }

// getAside is Get of an entry that is not followed.
func (s *Store) getAside(ctx context.Context, key string) (store.Entry, error) {
	if err := s.seen.Usable(ctx); err != nil {
		return store.Entry{}, err
	}
	kv, err := s.lookUp(ctx, key)
	if err != nil {
		return store.Entry{}, s.why(ctx, err)
	}
	if kv == nil {
		return store.Entry{}, store.ErrNotFound
	}
	return s.entry(kv), nil
}

// listAside is List of entries that are not followed.
func (s *Store) listAside(ctx context.Context, prefix string) ([]store.Entry, error) {
	all, _, err := s.readAside(ctx, prefix)
	return all, err
}

// readAside reads entries that are not followed, sorted by key, and returns as of which revision.
func (s *Store) readAside(ctx context.Context, prefix string) (all []store.Entry, at uint64, err error) {
	if err := s.seen.Usable(ctx); err != nil {
		return nil, 0, err
	}
	from := s.prefix + prefix
	found, at, err := s.read(ctx, from, clientv3.GetPrefixRangeEnd(from))
	if err != nil {
		return nil, 0, s.why(ctx, err)
	}
	return slices.SortedFunc(maps.Values(found),
		func(a, b store.Entry) int { return strings.Compare(a.Key, b.Key) }), at, nil
}

// watchAside is Watch of entries that are not followed. An entry that is deleted while etcd is away may stay.
func (s *Store) watchAside(ctx context.Context, prefix string) (<-chan []store.Change, error) {
	seen := store.NewReplica()
	at, err := s.loadAside(ctx, prefix, seen)
	if err != nil {
		return nil, err
	}
	changes, err := seen.Watch(ctx, "")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	s.running.Go(func() {
		defer seen.Close()
		defer cancel()
		defer stop()
		for ctx.Err() == nil {
			if err == nil {
				s.feedAside(ctx, prefix, at, seen)
			}
			sleep.For(ctx, retryTime)
			at, err = s.loadAside(ctx, prefix, seen)
		}
	})
	return changes, nil
}

// loadAside reads entries into a replica, and returns up to which revision.
func (s *Store) loadAside(ctx context.Context, prefix string, into *store.Replica) (at uint64, err error) {
	all, at, err := s.readAside(ctx, prefix)
	for _, entry := range all {
		into.Apply(store.Change{Entry: entry})
	}
	return at, err
}

// feedAside has a replica follow etcd, until that fails.
func (s *Store) feedAside(ctx context.Context, prefix string, at uint64, into *store.Replica) {
	client, err := s.etcd()
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	answers := client.Watch(ctx, s.prefix+prefix, clientv3.WithPrefix(), clientv3.WithRev(int64(at)+1))
	for answer := range answers {
		if answer.Err() != nil || s.known(answer.Header, 0) != nil {
			return
		}
		into.Apply(s.changes(answer.Events)...)
	}
}
