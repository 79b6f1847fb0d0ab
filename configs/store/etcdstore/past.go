package etcdstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"portico/configs/store"
)

// past is what shows that etcd still has what it had: after a restore its revision is soon as high as before, and its
// number of itself can be the same. Only the goroutine that follows uses it.
type past struct {
	whole    bool         // all entries were read, and not only those of the file
	complete bool         // of the file: it has all entries that this process keeps
	last     store.Change // was taken in last, or is the youngest entry of all that were read; may be none
}

// contradicted returns ErrRestored if entries of etcd cannot have followed what this node knows. An entry that is gone
// may have been deleted since.
func (s *Store) contradicted(known []store.Entry, found map[string]store.Entry) error {
	upTo, has := s.upTo(), make(map[string]bool, len(known))
	for _, old := range known {
		has[old.Key] = true
		now, there := found[old.Key]
		if !there || old.Revision == 0 { // see KeepAs
			continue
		}
		if now.Revision <= upTo && (now.Revision != old.Revision || !bytes.Equal(now.Value, old.Value)) {
			return fmt.Errorf("%w: %q is at revision %d, and was at %d", ErrRestored, old.Key, now.Revision,
				old.Revision)
		}
	}
	for key, now := range found {
		if now.Revision <= upTo && !has[key] && (s.past.whole || s.past.complete && s.keeps(key)) {
			return fmt.Errorf("%w: %q, of revision %d, was deleted", ErrRestored, key, now.Revision)
		}
	}
	return nil
}

// unchanged returns ErrRestored if etcd has not the change that was taken in last, and rpctypes.ErrCompacted if it has
// forgotten whether it had.
func (s *Store) unchanged(ctx context.Context) error {
	last := s.past.last
	if last.Revision == 0 {
		return nil
	}
	now, err := s.lookUp(ctx, last.Key)
	if err != nil || !last.Deleted && isOf(now, last) {
		return err
	}
	at := int64(last.Revision)
	then, err := s.lookUp(ctx, last.Key, clientv3.WithRev(at))
	kept := isOf(then, last)
	if err == nil && last.Deleted {
		var before *mvccpb.KeyValue
		before, err = s.lookUp(ctx, last.Key, clientv3.WithRev(at-1))
		kept = then == nil && before != nil
	}
	if errors.Is(err, rpctypes.ErrFutureRev) || err == nil && !kept {
		return fmt.Errorf("%w: the change of %q at revision %d is missing", ErrRestored, last.Key, at)
	}
	return err
}

// isOf says whether an entry of etcd, or nil, is what a change has made.
func isOf(kv *mvccpb.KeyValue, c store.Change) bool {
	return kv != nil && uint64(kv.ModRevision) == c.Revision && bytes.Equal(kv.Value, c.Value)
}

// lookUp reads an entry of etcd. It is nil if there is none.
func (s *Store) lookUp(ctx context.Context, key string, o ...clientv3.OpOption) (*mvccpb.KeyValue, error) {
	client, err := s.etcd()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	before := s.upTo()
	answer, err := client.Get(ctx, s.prefix+key, o...)
	if err == nil {
		err = s.known(answer.Header, before)
	}
	if err != nil || len(answer.Kvs) == 0 {
		return nil, err
	}
	return answer.Kvs[0], nil
}

// open returns a watcher whose stream of changes comes from one process of etcd, and ends when that does. By itself
// etcd's client goes on with the next process, which may have been restored.
func (s *Store) open() (clientv3.Watcher, error) {
	client, err := s.etcd()
	if err != nil {
		return nil, err
	}
	once := &oneStream{WatchClient: etcdserverpb.NewWatchClient(client.ActiveConnection())}
	return clientv3.NewWatchFromWatchClient(once, client), nil
}

// oneStream opens one stream.
type oneStream struct {
	etcdserverpb.WatchClient
	opened atomic.Bool
}

func (o *oneStream) Watch(ctx context.Context, opts ...grpc.CallOption) (etcdserverpb.Watch_WatchClient, error) {
	if o.opened.Swap(true) {
		return nil, errEnded
	}
	return o.WatchClient.Watch(ctx, opts...)
}

// begun returns once a stream is open.
func (s *Store) begun(ctx context.Context, stream clientv3.WatchChan) error {
	late := time.NewTimer(s.timeout)
	defer late.Stop()
	select {
	case first, open := <-stream:
		if !open {
			return errAway
		}
		return first.Err()
	case <-late.C:
		return errAway
	case <-ctx.Done():
		return ctx.Err()
	}
}
