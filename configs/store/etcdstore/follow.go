package etcdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"portico/configs/store"
	"portico/sleep"
)

// Times of following.
const (
	retryTime = 500 * time.Millisecond // before etcd is asked again after a failure
	askTime   = 2 * time.Second        // between questions whether etcd still answers
)

// pageSize is how many entries are read at once.
const pageSize = 1000

// State is how the store stands to etcd now.
func (s *Store) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// usable returns why nothing can be written: because etcd is not the one that it was, or does not answer. One that
// hangs would make the change when it goes on, long after its writer was told that it failed.
func (s *Store) usable() error { return s.State().Err }

// note records whether the store follows etcd.
func (s *Store) note(err error) {
	s.calling.Lock()
	defer s.calling.Unlock()
	now := State{err, time.Now()}
	s.mu.Lock()
	same := (err == nil) == (s.state.Err == nil) && errors.Is(err, ErrRestored) == errors.Is(s.state.Err, ErrRestored)
	if !same {
		s.state = now
	}
	s.mu.Unlock()
	if !same {
		s.opt.Changed(now)
	}
}

// known returns ErrRestored if an answer is not from the etcd that was there before, with all that this node had seen
// when it asked. The question must be one that etcd's majority answers.
func (s *Store) known(header *etcdserverpb.ResponseHeader, before uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.cluster == 0:
		s.cluster = header.ClusterId
	case s.cluster != header.ClusterId:
		return fmt.Errorf("%w: cluster %x, before %x", ErrRestored, header.ClusterId, s.cluster)
	case uint64(header.Revision) < before:
		return fmt.Errorf("%w: revision %d, before %d", ErrRestored, header.Revision, before)
	}
	return nil
}

// upTo is the revision up to which this node has seen all.
func (s *Store) upTo() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

// reached says that this node has seen all up to a revision.
func (s *Store) reached(revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if revision > s.revision {
		s.revision = revision
		close(s.moved)
		s.moved = make(chan struct{})
	}
}

// follow keeps the copy in memory up to date, until ctx ends.
func (s *Store) follow(ctx context.Context) {
	for ctx.Err() == nil {
		var err error
		if s.loaded {
			err = s.watch(ctx)
		}
		if !s.loaded || errors.Is(err, rpctypes.ErrCompacted) { // etcd has forgotten what came in between
			err = s.load(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.note(s.why(ctx, err))
			sleep.For(ctx, retryTime)
		}
	}
}

// watch takes changes in until following fails. While nothing changes, it asks from time to time whether etcd is there.
func (s *Store) watch(ctx context.Context) error {
	if err := s.ask(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	answers := s.client.Watch(ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithRev(int64(s.upTo())+1))
	s.note(nil)
	tick := time.NewTicker(askTime)
	defer tick.Stop()
	for {
		select {
		case answer, open := <-answers:
			if !open {
				return errAway
			}
			if err := answer.Err(); err != nil {
				return err
			}
			if err := s.known(answer.Header, 0); err != nil { // it may be from a member that is behind
				return err
			}
			if err := s.take(ctx, answer.Events); err != nil {
				return err
			}
		case <-tick.C:
			if err := s.ask(ctx); err != nil {
				return err
			}
		}
	}
}

// take takes changes in. They may not be all that there are up to the answer's own revision.
func (s *Store) take(ctx context.Context, events []*clientv3.Event) error {
	changes := make([]store.Change, 0, len(events))
	for _, e := range events {
		entry := store.Entry{Key: string(e.Kv.Key[len(s.prefix):]), Revision: uint64(e.Kv.ModRevision)}
		if e.Type != clientv3.EventTypeDelete {
			entry.Value = append([]byte{}, e.Kv.Value...)
		}
		changes = append(changes, store.Change{Entry: entry, Deleted: e.Type == clientv3.EventTypeDelete})
	}
	if len(changes) == 0 {
		return nil
	}
	return s.apply(ctx, changes, changes[len(changes)-1].Revision)
}

// ask asks whether etcd answers, and is the one that it was.
func (s *Store) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	before, began := s.upTo(), time.Now()
	answer, err := s.client.Get(ctx, s.prefix, clientv3.WithKeysOnly(), clientv3.WithLimit(1))
	s.opt.Observe(OpAsk, time.Since(began))
	if err != nil {
		return err
	}
	return s.known(answer.Header, before)
}

// load reads all entries, and takes in how they differ from what is known.
func (s *Store) load(ctx context.Context) error {
	found, revision, err := s.read(ctx)
	if err != nil {
		return s.why(ctx, err)
	}
	known, err := s.seen.List(ctx, "")
	if err != nil {
		return err
	}
	var changes []store.Change
	for _, old := range known {
		switch now, there := found[old.Key]; {
		case !there:
			changes = append(changes, store.Change{Entry: store.Entry{Key: old.Key, Revision: revision}, Deleted: true})
		case now.Revision == old.Revision:
			delete(found, old.Key)
		}
	}
	for _, entry := range found {
		changes = append(changes, store.Change{Entry: entry})
	}
	slices.SortFunc(changes, func(a, b store.Change) int { return cmp.Compare(a.Revision, b.Revision) })
	err = s.apply(ctx, changes, revision)
	s.loaded = s.loaded || err == nil
	return err
}

// read reads all entries as they were at one revision.
func (s *Store) read(ctx context.Context) (found map[string]store.Entry, revision uint64, err error) {
	found = make(map[string]store.Entry)
	from, end, before := s.prefix, clientv3.GetPrefixRangeEnd(s.prefix), s.upTo()
	for more := true; more; {
		asked, cancel := context.WithTimeout(ctx, s.timeout)
		page, err := s.client.Get(asked, from, clientv3.WithRange(end), clientv3.WithLimit(pageSize),
			clientv3.WithRev(int64(revision)))
		cancel()
		if err != nil {
			return nil, 0, err
		}
		if err := s.known(page.Header, before); err != nil {
			return nil, 0, err
		}
		if revision == 0 {
			revision = uint64(page.Header.Revision)
		}
		for _, kv := range page.Kvs {
			key := string(kv.Key[len(s.prefix):])
			found[key] = store.Entry{Key: key, Value: append([]byte{}, kv.Value...), Revision: uint64(kv.ModRevision)}
			from = string(kv.Key) + "\x00"
		}
		more = page.More
	}
	return found, revision, nil
}
