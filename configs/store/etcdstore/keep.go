package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"

	"portico/configs/store"
)

// etcdNumber is how the identity of the file of what is known begins: with etcd's own number of itself.
const etcdNumber = "etcd-%016x"

// keeps says whether an entry is kept.
func (s *Store) keeps(key string) bool { return !store.Under(key, s.opt.Passing) }

// identity is that of the file which this process writes: it also says which entries are kept. The caller holds mu.
func (s *Store) identity() string {
	passing := fnv.New32a()
	for _, key := range s.opt.Passing {
		io.WriteString(passing, key+"\n")
	}
	return fmt.Sprintf(etcdNumber+"-%08x", s.cluster, passing.Sum32())
}

// remember reads what the process before has known, and says whether there is any.
func (s *Store) remember() bool {
	if s.opt.File == "" {
		return false
	}
	known, err := store.ReadKnown(s.opt.File)
	var cluster uint64
	if err == nil {
		_, err = fmt.Sscanf(known.Identity, etcdNumber, &cluster)
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
	for _, c := range changes {
		if c.Revision > s.past.last.Revision {
			s.past.last = c
		}
	}
	s.past.complete = known.Identity == s.identity()
	s.reached(known.Revision)
	return true
}

// apply takes changes in, up to a revision. Before this node acts on them, they are in the file: a start while etcd is
// away must not fall back behind what this process has done and agreed to.
func (s *Store) apply(ctx context.Context, changes []store.Change, revision uint64) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	for s.isLent() {
		s.applying.Unlock()
		err := s.own(ctx)
		s.applying.Lock()
		if err != nil {
			return err
		}
	}
	if err := s.keep(changes, revision); err != nil {
		return err
	}
	s.seen.Apply(changes...)
	s.reached(revision)
	return nil
}

// Lend leaves the file to another process of this node. What etcd changes is not taken in, and changes wait, until
// TakeBack or Close.
func (s *Store) Lend() {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.back = make(chan struct{})
}

// TakeBack ends Lend, once the other process uses the file no more.
func (s *Store) TakeBack() {
	s.applying.Lock() // the file is to be written again
	defer s.applying.Unlock()
	s.kept = false
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.back)
	s.back = nil
}

func (s *Store) isLent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.back != nil
}

// own returns when the file is not lent.
func (s *Store) own(ctx context.Context) error {
	s.mu.Lock()
	back := s.back
	s.mu.Unlock()
	if back == nil {
		return nil
	}
	select {
	case <-back:
		return nil
	case <-s.ctx.Done():
		return store.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// KeepAs has the file say from now on that an entry has a value, whatever etcd says: this process is about to store
// that, and may not hear whether it has. In the file it has no revision.
func (s *Store) KeepAs(key string, value []byte) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.keptAs = &store.Entry{Key: key, Value: value}
	s.kept = false
	return s.keep(nil, s.upTo())
}

// keep writes to the file what will be known after changes. If that fails, there is no file any more; if it cannot be
// removed either, the error says so.
func (s *Store) keep(changes []store.Change, revision uint64) error {
	entries, some := make(map[string]store.Entry), false
	if s.opt.File == "" {
		return nil
	}
	for _, c := range changes {
		some = some || s.keeps(c.Key)
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
	if s.keptAs != nil {
		entries[s.keptAs.Key] = *s.keptAs
	}
	s.mu.Lock()
	known := store.Known{Identity: s.identity(), Revision: revision}
	s.mu.Unlock()
	for key, e := range entries {
		if s.keeps(key) {
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
