package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"portico/configs/store"
)

const (
	leaderKey  = "leader"
	standAside = 30 * time.Second // how long a node that has resigned leaves the election to others
	tryAgain   = 2 * time.Second  // after the store has failed
)

// Leader is a node's part in the election of one leader of the site. It decides which node does work that is enough
// to do once. A node that was suspended takes itself for the leader until it notices, so nothing that must be safe may
// depend on it. It is safe for concurrent use. A nil Leader is that of a Portico that is alone: it always leads.
type Leader struct {
	store  store.Store
	leases Leases
	name   string
	asked  chan struct{} // holds one: the node resigns
	failed func(error)

	mu    sync.Mutex // guards what follows
	leads bool
	is    string // the leader's name
}

// NewLeader returns the part of the node with this name. It does not stand for election before Run. failed gets the
// errors of the store.
func NewLeader(s store.Store, leases Leases, name string, failed func(error)) *Leader {
	return &Leader{store: s, leases: leases, name: name, asked: make(chan struct{}, 1), failed: failed}
}

// Leads says whether this node is the leader, as far as it knows.
func (l *Leader) Leads() bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leads
}

// Name is the leader's name, "" if there is none at present.
func (l *Leader) Name() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.is
}

// Resign leaves the election to other nodes for a while. If none of them takes part, this node is the leader again
// afterwards. It does not block.
func (l *Leader) Resign() {
	if l == nil {
		return
	}
	l.set(false)
	select {
	case l.asked <- struct{}{}:
	default:
	}
}

func (l *Leader) set(leads bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leads = leads
}

// Run stands for election until ctx ends or the store closes.
func (l *Leader) Run(ctx context.Context) {
	changes, err := l.store.Watch(ctx, leaderKey)
	if err != nil {
		l.failed(err)
		return
	}
	var lost <-chan struct{} // nil while the node does not lead
	release := func() {}
	defer func() {
		release()
		if lost != nil {
			<-lost
		}
		l.set(false)
	}()
	var aside time.Time
	timer := time.NewTimer(standAside)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case batch, open := <-changes:
			if !open {
				return
			}
			l.follow(batch)
		case <-lost:
			lost = nil
			l.set(false)
		case <-l.asked:
			aside = time.Now().Add(standAside)
			timer.Reset(standAside)
			release()
			continue
		case <-timer.C:
		}
		if lost != nil || l.Name() != "" || time.Now().Before(aside) {
			continue
		}
		release()
		if lost, release, err = l.stand(ctx); err == nil {
			l.set(true)
			continue
		}
		if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrAway) && ctx.Err() == nil {
			l.failed(err)
		}
		timer.Reset(tryAgain)
	}
}

// stand makes this node the leader, unless there is one. release ends that.
func (l *Leader) stand(ctx context.Context) (lost <-chan struct{}, release func(), err error) {
	ctx, release = context.WithCancel(ctx)
	lost, err = l.leases.Hold(ctx, leaderKey, 0, []byte(l.name), PresenceTime)
	if err != nil {
		release()
		return nil, release, err
	}
	return lost, release, nil
}

// follow takes in who leads.
func (l *Leader) follow(batch []store.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range batch {
		if c.Key == leaderKey {
			l.is = string(c.Value)
		}
	}
}
