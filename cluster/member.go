package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"portico/configs/store"
	"portico/sleep"
)

// retryTime is how long a node waits before it tries again to change the store.
const retryTime = time.Second

// Options of a member.
type Options struct {
	Leases Leases // nil: nobody says who is present, and all nodes that have not ended count as present
	// Fenced says that other nodes may expel this one. While the store is away it cannot know whether they have, so it
	// does not start by the registration of the process before.
	Fenced bool
	// KeepAs keeps an entry of the store in this node's own copy of it, before Leave stores it. It may be nil.
	KeepAs func(key string, value []byte) error
	Failed func(error) // told what cannot be read or stored; it may be nil
	// Taken is told once, with ErrTaken, that another machine has registered by this node's name. Nobody waits for this
	// process any more, so it must end. It may be nil.
	Taken func(error)
}

// Member is this node as one of a site. It is safe for concurrent use.
type Member struct {
	store   store.Store
	self    Node // as it registers, but for the boot
	opt     Options
	nodes   store.Set[Node]
	seen    *store.Mirror[Node]
	lease   lease         // of Join
	resumed chan struct{} // has a token when this process is the node's again
	began   time.Time

	joining sync.Mutex // held while the registration is written

	mu     sync.Mutex // guards what follows
	own    store.Item[Node]
	wrote  bool                     // this process has written own, and no other was to register since
	tried  map[string]bool          // boots by which this process may have registered since own was written
	paused bool                     // another process of this node registers
	all    []NodeState              // as look has found them, sorted by name
	moved  map[chan<- struct{}]bool // told when who is present changes
}

// Join registers this process by self's name, which no other process may use at the same time but the one before on
// the same machine. Another machine gets the name once the one before has ended properly or was removed. Nobody may be
// let in before that, and what nodes agree on must be read after it. The process that had the name before must have
// ended, or hand over to this one. If the store is away or full, a registration of the same machine that has not ended
// stands, unless this node may have been fenced: whatever that process had agreed to is known here.
func Join(ctx context.Context, s store.Store, self Node, o Options) (*Member, error) {
	if err := checkName(self.Name); err != nil {
		return nil, err
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	if o.Taken == nil {
		o.Taken = func(error) {}
	}
	m := &Member{store: s, self: self, opt: o, nodes: store.SetOf[Node](s, nodesKey), began: time.Now(),
		resumed: make(chan struct{}, 1), tried: make(map[string]bool), moved: make(map[chan<- struct{}]bool)}
	var err error
	m.lease, err = m.hold(ctx) // first: nobody may find this node registered and absent
	switch {
	case errors.Is(err, ErrTaken):
		return nil, err
	case err != nil && !errors.Is(err, store.ErrAway): // without an effect on what is safe
		m.opt.Failed(err)
	}
	if err = m.join(ctx); err == nil {
		m.seen, err = store.NewMirror(ctx, m.nodes, store.MirrorOptions{Changed: m.look, Failed: o.Failed})
	}
	if err != nil {
		m.lease.release()
		return nil, err
	}
	m.look()
	return m, nil
}

// join is Join for a name that is free.
func (m *Member) join(ctx context.Context) error {
	before, err := m.nodes.Get(ctx, m.self.Name)
	if err != nil {
		return err
	}
	err = m.register(ctx, m.newBoot())
	if !errors.Is(err, store.ErrAway) && !errors.Is(err, store.ErrFull) {
		return err
	}
	if why := m.outdated(before); why != "" {
		return fmt.Errorf("%w; this node cannot start without that, because %s", err, why)
	}
	m.opt.Failed(fmt.Errorf("%w; the registration of the process before stands", err))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.own = before
	return nil
}

// outdated says why nobody may have waited for this node, so that what it knows of the site may be outdated; or "".
func (m *Member) outdated(before store.Item[Node]) string {
	switch {
	case before.Err != nil || before.Value.Machine != m.self.Machine: // or there is none
		return "it was not registered before"
	case before.Value.Stopped:
		return "it had stopped, and databases or users may have moved since"
	case m.opt.Fenced:
		return "with cluster.fence, other nodes may have removed it, and databases may have moved since"
	}
	return ""
}

func (m *Member) newBoot() Node {
	node := m.self
	node.Boot, node.Since = rand.Text(), time.Now().UTC().Truncate(time.Millisecond)
	return node
}

// Name is this node's name.
func (m *Member) Name() string { return m.self.Name }

// Leave says that this node has ended. Nobody may be in, and nobody be let in any more. The store is closed after it.
func (m *Member) Leave(ctx context.Context) error {
	node := m.registered().Value
	node.Stopped = true
	if m.opt.KeepAs != nil { // others may not wait for this node any more though Leave fails
		text, _ := json.Marshal(node) // strings and a time
		if err := m.opt.KeepAs(nodesKey+m.self.Name, text); err != nil {
			return err
		}
	}
	return m.register(ctx, node)
}

// register writes this node's registration over what is there, but for that of another machine which may still serve
// users, or of another process that has begun since this one: then the error is ErrTaken.
func (m *Member) register(ctx context.Context, node Node) error {
	m.joining.Lock()
	defer m.joining.Unlock()
	for {
		item, err := m.nodes.Get(ctx, m.self.Name)
		switch is := item.Value; {
		case err != nil:
		case m.isAnothers(item):
			return fmt.Errorf("node %s: %w. The other has registered while this one was running, with the same "+
				"data_dir or a copy of it: run only one", m.self.Name, ErrTaken)
		case item.Revision != 0 && item.Err == nil && is.Machine != m.self.Machine && !is.Stopped:
			return fmt.Errorf("node %s: %w. The other has not ended properly: if it is off for certain, run "+
				"portico node remove %[1]s --dead on another node", m.self.Name, ErrTaken)
		default:
			m.mu.Lock()
			m.tried[node.Boot] = true
			m.mu.Unlock()
			item.Value = node
			item, err = m.nodes.Put(ctx, item)
		}
		if err == nil {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.own, m.wrote = item, true
			clear(m.tried)
			m.tell()
			return nil
		}
		if !errors.Is(err, store.ErrConflict) || sleep.For(ctx, retryTime) != nil {
			return fmt.Errorf("register as node %s: %w", m.self.Name, err)
		}
	}
}

// registered is this node's registration.
func (m *Member) registered() store.Item[Node] {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.own
}

// Boot is random, and new each time that this node registers.
func (m *Member) Boot() string { return m.registered().Value.Boot }

// While returns the boot of this node's registration, and the store with the demand that its writes only happen while
// that registration stands.
func (m *Member) While() (boot string, w store.Writer) {
	own := m.registered()
	return own.Value.Boot, m.store.While(nodesKey+m.self.Name, own.Revision)
}

// Run keeps this node registered and present, and follows who else is, until ctx ends or the store closes. The node
// stays present until the store closes.
func (m *Member) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { m.seen.Run(ctx) })
	group.Go(func() { m.followPresence(ctx) })
	if m.opt.Leases != nil {
		group.Go(func() { m.stayPresent(ctx) })
	}
	m.keep(ctx)
}

// keep registers this node again when its registration is gone: somebody has removed it, or has restored the store from
// an earlier copy.
func (m *Member) keep(ctx context.Context) {
	changes, err := m.store.Watch(ctx, nodesKey+m.self.Name)
	if err != nil {
		m.opt.Failed(err)
		return
	}
	for range changes {
		next := m.newBoot()
		for {
			replaced, err := m.replaced(ctx)
			if replaced {
				err = m.register(ctx, next)
			}
			switch {
			case errors.Is(err, ErrTaken):
				m.opt.Taken(err)
				return
			case replaced && err == nil:
				m.opt.Failed(fmt.Errorf("node %s: its registration was removed, so it has registered again",
					m.self.Name))
			}
			if err == nil || ctx.Err() != nil {
				break
			}
			m.opt.Failed(err)
			if sleep.For(ctx, retryTime) != nil {
				break
			}
		}
	}
}

// replaced says whether the store has another registration than this process has written last.
func (m *Member) replaced(ctx context.Context) (bool, error) {
	m.joining.Lock() // else that may be about to be noted
	defer m.joining.Unlock()
	now, err := m.nodes.Get(ctx, m.self.Name)
	m.mu.Lock()
	defer m.mu.Unlock()
	return err == nil && now.Revision != m.own.Revision && !m.own.Value.Stopped && !m.paused, err
}

// isAnothers says whether a registration is of another process, which has begun after this one had registered and which
// this one has not made way for. It runs on a copy of this node's data_dir, and so counts as the same machine.
func (m *Member) isAnothers(is store.Item[Node]) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := is.Value.Boot == m.own.Value.Boot || m.tried[is.Value.Boot]
	same := is.Revision != 0 && is.Err == nil && is.Value.Machine == m.self.Machine
	return same && m.wrote && !m.paused && !known
}

// Pause lets another process of this node register in its place, until resume is called because that process has
// failed.
func (m *Member) Pause() (resume func(ctx context.Context) error) {
	pause := func(paused bool) {
		m.joining.Lock()
		defer m.joining.Unlock()
		m.mu.Lock()
		defer m.mu.Unlock()
		m.paused = paused
	}
	pause(true)
	return func(ctx context.Context) error {
		err := m.register(ctx, m.newBoot())
		if err != nil { // then the registration of the process that has failed may still stand
			m.mu.Lock()
			m.wrote = false
			m.mu.Unlock()
		}
		pause(false)
		select {
		case m.resumed <- struct{}{}:
		default:
		}
		return err
	}
}

func (m *Member) isPaused() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.paused
}
