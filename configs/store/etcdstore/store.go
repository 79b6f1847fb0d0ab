// Package etcdstore keeps a store in etcd, so that all nodes of a site have the same. Each node holds a copy in memory,
// which follows etcd: reading neither waits nor fails while etcd is away, and shows what was known last. Writing
// compares in etcd itself, so a node whose copy is behind changes nothing by mistake. Only entries set aside, see
// store.Aside, are read in etcd.
//
// It handles keys and bytes and does not know their meaning.
package etcdstore

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"portico/configs/store"
)

// Options say where etcd is. Endpoints and Prefix are needed.
type Options struct {
	Endpoints []string    // https://HOST:PORT
	Prefix    string      // all keys begin with it and a slash
	TLS       *tls.Config // nil for none
	User      string      // "" for none
	Password  string
	Timeout   time.Duration // bounds each call; 0 for DefaultTimeout
	// Changed is called when the state changes, never two calls at a time. It may be nil.
	Changed func(State)
	// Observe is called with how long etcd took to answer, or to fail: op is OpAsk or OpChange. It may be nil.
	Observe func(op string, took time.Duration)

	// File keeps what is known of etcd for a start while it is away; "" keeps nothing. A process has the file alone.
	File    string
	Passing []string    // the beginnings of keys of which nothing is kept
	Failed  func(error) // told when the file cannot be read or written; it may be nil
}

// What etcd is asked, for Options.Observe.
const (
	OpAsk    = "ask"    // whether it answers; every two seconds
	OpChange = "change" // of an entry
)

// DefaultTimeout is how long a call waits for etcd.
const DefaultTimeout = 5 * time.Second

// dialTime bounds how long etcd may take to check the password, and how long a lease that was never renewed counts as
// held.
const dialTime = 5 * time.Second

// State is how a store stands to etcd.
type State struct {
	Err   error     // why it cannot follow etcd; nil if it does
	Full  error     // why etcd takes no change, though it answers; nil if it has taken the last one
	Since time.Time // when that began
}

// errAway means that etcd does not answer, or has no leader.
var errAway = fmt.Errorf("etcd does not answer: %w", store.ErrAway)

// errFull means that etcd has reached its quota of space.
var errFull = fmt.Errorf("%w: etcd has reached its quota: compact and defragment it, or raise the quota, and then run "+
	"etcdctl alarm disarm", store.ErrFull)

// ErrRestored means that etcd has not all that it had before: it was restored from a backup, or is another etcd.
// Nothing is followed or written until it is the old one again, or Portico has been told to start afresh.
var ErrRestored = errors.New("etcd lacks changes that this node knows: restored from a backup, or another one")

// Store is a store in etcd. It is safe for concurrent use.
type Store struct {
	opt     Options
	prefix  string
	timeout time.Duration
	keptAs  *store.Entry // see KeepAs; guarded by applying
	kept    bool         // the file is as it should be; guarded by applying
	seen    *store.Replica
	past    past
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup

	applying sync.Mutex // held while changes are kept and taken in; taken before mu

	mu       sync.Mutex
	client   *clientv3.Client // nil before the first connection
	back     chan struct{}    // while the file is lent: closed when it is back
	cluster  uint64           // etcd's own number of itself; 0 before the first answer
	revision uint64           // of etcd, up to which seen has all
	moved    chan struct{}    // closed and made anew when revision changes, or following ends
	state    State
	calling  sync.Mutex // held while changed runs
}

var _ store.Store = (*Store)(nil)

// Open connects to etcd and reads all entries. ctx bounds that. If etcd does not answer, the store has what the file
// has kept; without a file, the error is store.ErrAway.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{opt: o, prefix: o.Prefix + "/", timeout: cmp.Or(o.Timeout, DefaultTimeout), seen: store.NewReplica(),
		moved: make(chan struct{}), state: State{Since: time.Now()}}
	if s.opt.Changed == nil {
		s.opt.Changed = func(State) {}
	}
	if s.opt.Observe == nil {
		s.opt.Observe = func(string, time.Duration) {}
	}
	if s.opt.Failed == nil {
		s.opt.Failed = func(error) {}
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	known := s.remember()
	err := s.connect(ctx)
	if err == nil {
		err = s.load(ctx)
	}
	if known && errors.Is(err, store.ErrAway) {
		s.note(err)
		err = nil
	}
	if err != nil {
		s.stop()
		s.disconnect()
		return nil, err
	}
	s.running.Go(func() { s.follow(s.ctx) })
	return s, nil
}

// connect makes the client, which checks the user's password first, and connects again by itself later. Only Open and
// then the goroutine that follows call it.
func (s *Store) connect(ctx context.Context) error {
	if _, err := s.etcd(); err == nil {
		return nil
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: s.opt.Endpoints, TLS: s.opt.TLS, Username: s.opt.User,
		Password: s.opt.Password, DialTimeout: min(dialTime, s.timeout), DialKeepAliveTime: s.timeout,
		DialKeepAliveTimeout: s.timeout, PermitWithoutStream: true, Logger: zap.NewNop(), Context: s.ctx,
		DialOptions: []grpc.DialOption{reconnecting(s.timeout)}})
	if err != nil {
		return s.why(ctx, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = client
	return nil
}

// etcd returns the client, or store.ErrAway before the first connection.
func (s *Store) etcd() (*clientv3.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		return nil, errAway
	}
	return s.client, nil
}

func (s *Store) disconnect() {
	if client, err := s.etcd(); err == nil {
		client.Close() // its error is that it has ended
	}
}

// Get implements store.Store from memory.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	if isAside(key) {
		return s.getAside(ctx, key)
	}
	return s.seen.Get(ctx, key)
}

// List implements store.Store from memory.
func (s *Store) List(ctx context.Context, prefix string) ([]store.Entry, error) {
	if isAside(prefix) {
		return s.listAside(ctx, prefix)
	}
	return s.seen.List(ctx, prefix)
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string) (<-chan []store.Change, error) {
	if isAside(prefix) {
		return s.watchAside(ctx, prefix)
	}
	return s.seen.Watch(ctx, prefix)
}

// Close implements store.Store.
func (s *Store) Close() error {
	err := s.seen.Close()
	if err == nil {
		s.stop()
		s.running.Wait()
		s.disconnect()
	}
	return err
}

// CompareAndSet implements store.Store. It returns when this node has seen the change too.
func (s *Store) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	return writer{s, nil}.CompareAndSet(ctx, key, revision, value)
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key string, revision uint64) error {
	return writer{s, nil}.Delete(ctx, key, revision)
}

// While implements store.Store.
func (s *Store) While(key string, revision uint64) store.Writer {
	return writer{s, []clientv3.Cmp{s.at(key, revision)}}
}

// at compares the revision of a key; etcd has 0 for one that does not exist, as we have.
func (s *Store) at(key string, revision uint64) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(s.prefix+key), "=", int64(revision))
}

// writer changes entries of a store under further conditions.
type writer struct {
	s     *Store
	while []clientv3.Cmp
}

// CompareAndSet implements store.Writer.
func (w writer) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	if err := store.CheckBounds(key, value); err != nil {
		return 0, err
	}
	return w.change(ctx, key, revision, clientv3.OpPut(w.s.prefix+key, string(value)))
}

// Delete implements store.Writer.
func (w writer) Delete(ctx context.Context, key string, revision uint64) error {
	if revision == 0 { // this would delete what does not exist
		return fmt.Errorf("%w: %q", store.ErrConflict, key)
	}
	_, err := w.change(ctx, key, revision, clientv3.OpDelete(w.s.prefix+key))
	return err
}

func (w writer) change(ctx context.Context, key string, revision uint64, op clientv3.Op) (uint64, error) {
	s := w.s
	if err := s.seen.Usable(ctx); err != nil {
		return 0, err
	}
	if err := s.usable(); err != nil {
		return 0, err
	}
	if err := s.own(ctx); err != nil {
		return 0, err
	}
	client, err := s.etcd()
	if err != nil {
		return 0, err
	}
	asked, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	before, began := s.upTo(), time.Now()
	result, err := client.Txn(asked).If(append(w.while, s.at(key, revision))...).Then(op).
		Else(clientv3.OpGet(s.prefix+key, clientv3.WithKeysOnly())).Commit()
	s.opt.Observe(OpChange, time.Since(began))
	if err != nil {
		return 0, s.why(ctx, err)
	}
	if err := s.known(result.Header, before); err != nil {
		return 0, err
	}
	if !result.Succeeded {
		at := uint64(0)
		if found := result.Responses[0].GetResponseRange().GetKvs(); len(found) > 0 {
			at = uint64(found[0].ModRevision)
		}
		if at == revision {
			return 0, fmt.Errorf("%w: %q was not changed", store.ErrLost, key)
		}
		return 0, fmt.Errorf("%w: %q is at revision %d, not %d", store.ErrConflict, key, at, revision)
	}
	s.takes(nil)
	made := uint64(result.Header.Revision)
	if isAside(key) {
		return made, nil
	}
	return made, s.await(asked, made)
}

// await returns when this node has seen all changes up to a revision.
func (s *Store) await(ctx context.Context, revision uint64) error {
	for {
		s.mu.Lock()
		seen, moved := s.revision, s.moved
		s.mu.Unlock()
		if seen >= revision {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("%w: the change is made, but this node has not seen it yet", errAway)
		}
	}
}

// why gives the errors of etcd's client words: ctx is the caller's. What etcd itself refuses has not been made; of all
// else, also of what etcd has not finished in its own time, nobody knows.
func (s *Store) why(ctx context.Context, err error) error {
	var known rpctypes.EtcdError
	switch {
	case errors.Is(err, ErrRestored):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, store.ErrAway): // it has its words
		return err
	case errors.Is(err, rpctypes.ErrNoSpace):
		s.takes(errFull)
		return errFull
	case errors.As(err, &known) && !slices.Contains(unfinished, known.Code()):
		return fmt.Errorf("etcd: %w", err)
	}
	return fmt.Errorf("%w: %w", errAway, err)
}

// unfinished are the codes of etcd's errors about itself, not about the request: no leader, no time, stopping.
var unfinished = []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unknown}
