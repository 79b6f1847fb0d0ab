package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"portico/configs/store"
)

// identity names etcd in the file of what is known of it.
const identity = "etcd-%016x"

// remember reads what the process before has known, and says whether there is any.
func (s *Store) remember() bool {
	if s.opt.File == "" {
		return false
	}
	known, err := store.ReadKnown(s.opt.File)
	var cluster uint64
	if err == nil {
		_, err = fmt.Sscanf(known.Identity, identity, &cluster)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.opt.Failed(fmt.Errorf("what was known of etcd cannot be read: %w", err))
		}
		return false
	}
	changes := make([]store.Change, 0, len(known.Entries))
	for _, entry := range known.Entries {
		changes = append(changes, store.Change{Entry: entry})
	}
	s.seen.Apply(changes...)
	s.cluster = cluster
	s.reached(known.Revision)
	return true
}

// apply takes changes in, up to a revision. Before this node acts on them, they are in the file: a start while etcd is
// away must not fall back behind what this process has done and agreed to.
func (s *Store) apply(changes []store.Change, revision uint64) error {
	if err := s.keep(changes, revision); err != nil {
		return err
	}
	s.seen.Apply(changes...)
	s.reached(revision)
	return nil
}

// keep writes to the file what will be known after changes. If that fails, there is no file any more; if it cannot be
// removed either, the error says so.
func (s *Store) keep(changes []store.Change, revision uint64) error {
	entries, some := make(map[string]store.Entry), false
	if s.opt.File == "" {
		return nil
	}
	for _, c := range changes {
		some = some || s.opt.Keep(c.Key)
	}
	if !some && s.kept {
		return nil
	}
	all, err := s.seen.List(context.Background(), "")
	if err != nil {
		return err
	}
	for _, e := range all {
		entries[e.Key] = e
	}
	for _, c := range changes {
		if c.Deleted {
			delete(entries, c.Key)
		} else {
			entries[c.Key] = c.Entry
		}
	}
	known := store.Known{Identity: fmt.Sprintf(identity, s.clusterID()), Revision: revision}
	for key, e := range entries {
		if s.opt.Keep(key) {
			known.Entries = append(known.Entries, e)
		}
	}
	left, err := store.WriteKnown(s.opt.File, known)
	s.kept = err == nil
	if err != nil && !left {
		s.opt.Failed(fmt.Errorf("what is known of etcd cannot be kept for a start while it is away: %w", err))
		return nil
	}
	return err
}

func (s *Store) clusterID() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cluster
}
