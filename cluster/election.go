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

// Election is a node's part in the election of one leader of the site. It decides which node does work that is enough
// to do once. A node that was suspended takes itself for the leader until it notices, so nothing that must be safe may
// depend on it. It is safe for concurrent use. A nil Election is that of a Portico that is alone: it always leads.
type Election struct {
	store  store.Store
	leases Leases
	name   string
	asked  chan struct{} // holds one: the node resigns
	failed func(error)

	mu    sync.Mutex // guards what follows
	leads bool
	is    string // the leader's name
}

// NewElection returns the part of the node with this name. It does not stand for election before Run. failed gets the
// errors of the store.
func NewElection(s store.Store, leases Leases, name string, failed func(error)) *Election {
	return &Election{store: s, leases: leases, name: name, asked: make(chan struct{}, 1), failed: failed}
}

// Leads says whether this node is the leader, as far as it knows.
func (e *Election) Leads() bool {
	if e == nil {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leads
}

// Name is the leader's name, "" if there is none at present.
func (e *Election) Name() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.is
}

// Resign leaves the election to other nodes for a while. If none of them takes part, this node is the leader again
// afterwards. It does not block.
func (e *Election) Resign() {
	if e == nil {
		return
	}
	e.set(false)
	select {
	case e.asked <- struct{}{}:
	default:
	}
}

func (e *Election) set(leads bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leads = leads
}

// Run stands for election until ctx ends or the store closes.
func (e *Election) Run(ctx context.Context) {
	changes, err := e.store.Watch(ctx, leaderKey)
	if err != nil {
		e.failed(err)
		return
	}
	var lost <-chan struct{} // nil while the node does not lead
	release := func() {}
	defer func() {
		release()
		if lost != nil {
			<-lost
		}
		e.set(false)
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
			e.follow(batch)
		case <-lost:
			lost = nil
			e.set(false)
		case <-e.asked:
			aside = time.Now().Add(standAside)
			timer.Reset(standAside)
			release()
			continue
		case <-timer.C:
		}
		if lost != nil || e.Name() != "" || time.Now().Before(aside) {
			continue
		}
		release()
		if lost, release, err = e.stand(ctx); err == nil {
			e.set(true)
			continue
		}
		if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrAway) && ctx.Err() == nil {
			e.failed(err)
		}
		timer.Reset(tryAgain)
	}
}

// stand makes this node the leader, unless there is one. release ends that.
func (e *Election) stand(ctx context.Context) (lost <-chan struct{}, release func(), err error) {
	ctx, release = context.WithCancel(ctx)
	lost, err = e.leases.Hold(ctx, leaderKey, 0, []byte(e.name), PresenceTime)
	if err != nil {
		release()
		return nil, release, err
	}
	return lost, release, nil
}

// follow takes in who leads.
func (e *Election) follow(batch []store.Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range batch {
		if c.Key == leaderKey {
			e.is = string(c.Value)
		}
	}
}
