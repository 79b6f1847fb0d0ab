package etcdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"portico/configs/store"
	"portico/sleep"
)

// Times of following.
const (
	retryTime = 500 * time.Millisecond // before etcd is asked again after a failure
	askTime   = 2 * time.Second        // between questions whether etcd still answers
)

// errEnded means that a stream of changes has ended with its connection.
var errEnded = status.Error(codes.Aborted, "the connection has ended")

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
func (s *Store) note(err error) { s.become(func(is *State) { is.Err = err }) }

// takes records whether etcd takes changes.
func (s *Store) takes(err error) { s.become(func(is *State) { is.Full = err }) }

// become changes the state, and tells of it if it is another one then.
func (s *Store) become(change func(*State)) {
	s.calling.Lock()
	defer s.calling.Unlock()
	s.mu.Lock()
	was, now := s.state, s.state
	change(&now)
	same := (now.Err == nil) == (was.Err == nil) && (now.Full == nil) == (was.Full == nil) &&
		errors.Is(now.Err, ErrRestored) == errors.Is(was.Err, ErrRestored)
	if !same {
		now.Since = time.Now()
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
		err := s.connect(ctx)
		if err == nil && s.past.whole {
			err = s.watch(ctx)
		}
		if err == nil && !s.past.whole || errors.Is(err, rpctypes.ErrCompacted) { // what came in between is forgotten
			err = s.load(ctx)
		}
		if err != nil && ctx.Err() == nil {
			if !errors.Is(err, errEnded) { // else another member may go on
				s.note(s.why(ctx, err))
			}
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
	watcher, err := s.open()
	if err != nil {
		return err
	}
	defer watcher.Close()
	stream := watcher.Watch(ctx, s.prefix, clientv3.WithRange(s.prefix+store.Aside),
		clientv3.WithRev(int64(s.upTo())+1), clientv3.WithCreatedNotify())
	if err := s.begun(ctx, stream); err != nil {
		return err
	}
	if err := s.unchanged(ctx); err != nil { // only now: the stream is of the etcd that is asked
		return err
	}
	answers := gather(stream)
	s.note(nil)
	tick := time.NewTicker(askTime)
	defer tick.Stop()
	for {
		select {
		case all, open := <-answers:
			if !open {
				return errEnded
			}
			if err := s.take(ctx, all); err != nil {
				return err
			}
		case <-tick.C:
			if err := s.ask(ctx); err != nil {
				return err
			}
		}
	}
}

// gather hands on what comes in, all that there is at once: whoever is slow takes in much at a time. What has not been
// taken when a watch ends is lost.
func gather(in clientv3.WatchChan) <-chan []clientv3.WatchResponse {
	out := make(chan []clientv3.WatchResponse)
	go func() {
		defer close(out)
		var all []clientv3.WatchResponse
		for {
			to := out
			if len(all) == 0 {
				to = nil
			}
			select {
			case answer, open := <-in:
				if !open {
					return
				}
				all = append(all, answer)
			case to <- all:
				all = nil
			}
		}
	}()
	return out
}

// take takes changes in. They may not be all that there are up to the last answer's own revision.
func (s *Store) take(ctx context.Context, answers []clientv3.WatchResponse) error {
	var changes []store.Change
	var failed error
	for _, answer := range answers {
		failed = answer.Err()
		if failed == nil {
			failed = s.known(answer.Header, 0) // it may be from a member that is behind
		}
		if failed != nil {
			break
		}
		changes = append(changes, s.changes(answer.Events)...)
	}
	if len(changes) == 0 {
		return failed
	}
	last := changes[len(changes)-1]
	err := s.apply(ctx, changes, last.Revision)
	if err == nil {
		s.past.last = last
	}
	return cmp.Or(err, failed)
}

// changes are etcd's events as changes of this store.
func (s *Store) changes(events []*clientv3.Event) []store.Change {
	changes := make([]store.Change, 0, len(events))
	for _, e := range events {
		c := store.Change{Entry: s.entry(e.Kv), Deleted: e.Type == clientv3.EventTypeDelete}
		if c.Deleted {
			c.Value = nil
		}
		changes = append(changes, c)
	}
	return changes
}

// entry is an entry of etcd as one of this store.
func (s *Store) entry(kv *mvccpb.KeyValue) store.Entry {
	return store.Entry{Key: string(kv.Key[len(s.prefix):]), Value: append([]byte{}, kv.Value...),
		Revision: uint64(kv.ModRevision)}
}

// ask asks whether etcd answers, and is the one that it was.
func (s *Store) ask(ctx context.Context) error {
	client, err := s.etcd()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	before, began := s.upTo(), time.Now()
	answer, err := client.Get(ctx, s.prefix, clientv3.WithKeysOnly(), clientv3.WithLimit(1))
	s.opt.Observe(OpAsk, time.Since(began))
	if err != nil {
		return err
	}
	if s.State().Full != nil {
		s.tryWrite(ctx, client)
	}
	return s.known(answer.Header, before)
}

// tryWrite finds out whether etcd takes changes again. It asks for one under a condition that no key meets.
func (s *Store) tryWrite(ctx context.Context, client *clientv3.Client) {
	key := s.prefix + "never"
	_, err := client.Txn(ctx).If(clientv3.Compare(clientv3.Version(key), "<", 0)).Then(clientv3.OpPut(key, "")).Commit()
	if err == nil {
		s.takes(nil)
	}
}

// load reads all entries, and takes in how they differ from what is known.
func (s *Store) load(ctx context.Context) error {
	err := s.unchanged(ctx)
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return s.why(ctx, err)
	}
	found, revision, err := s.read(ctx, s.prefix, s.prefix+store.Aside)
	if err != nil {
		return s.why(ctx, err)
	}
	known, err := s.seen.List(ctx, "")
	if err == nil {
		err = s.contradicted(known, found)
	}
	if err != nil {
		return err
	}
	var last store.Change
	for _, entry := range found {
		if entry.Revision > last.Revision {
			last = store.Change{Entry: entry}
		}
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
	if err = s.apply(ctx, changes, revision); err == nil {
		s.past.whole, s.past.last = true, last
	}
	return err
}

// read reads the entries of a range as they were at one revision.
func (s *Store) read(ctx context.Context, from, end string) (found map[string]store.Entry, revision uint64, err error) {
	found = make(map[string]store.Entry)
	client, err := s.etcd()
	if err != nil {
		return nil, 0, err
	}
	before := s.upTo()
	for more := true; more; {
		asked, cancel := context.WithTimeout(ctx, s.timeout)
		page, err := client.Get(asked, from, clientv3.WithRange(end), clientv3.WithLimit(pageSize),
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
			entry := s.entry(kv)
			found[entry.Key] = entry
			from = string(kv.Key) + "\x00"
		}
		more = page.More
	}
	return found, revision, nil
}
