package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"portico/configs/store"
	"portico/sleep"
)

// PresenceTime is how long a node that is silent still counts as present.
const PresenceTime = 10 * time.Second

// Leases keep entries that go away by themselves when their writer is silent.
type Leases interface {
	// Hold keeps an entry, which must have the given revision (0: it must not exist; else the error is
	// store.ErrConflict), until ctx ends, the store closes, or its writer has been silent for ttl. What was there goes
	// on under the new lease alone. lost is closed when the lease is over.
	Hold(ctx context.Context, key string, revision uint64, value []byte, ttl time.Duration) (lost <-chan struct{},
		err error)
}

// presence is what a node that is present says of itself.
type presence struct {
	Machine string `json:"machine,omitempty"`
}

func presences(s store.Store) store.Set[presence] { return store.SetOf[presence](s, presentKey) }

// lease is what keeps this node present.
type lease struct {
	lost <-chan struct{} // closed when it is over; nil if there is none
	end  context.CancelFunc
}

// release ends it.
func (l lease) release() {
	if l.end != nil {
		l.end()
		<-l.lost
	}
}

// hold makes this node present, in place of an earlier process on this machine. The error is ErrTaken if another
// machine is present by this node's name.
func (m *Member) hold(ctx context.Context) (lease, error) {
	for {
		item, err := presences(m.store).Get(ctx, m.self.Name)
		switch {
		case err != nil:
			return lease{}, err
		case item.Revision != 0 && item.Err == nil && item.Value.Machine != m.self.Machine:
			return lease{}, fmt.Errorf("node %s: %w", m.self.Name, ErrTaken)
		case m.opt.Leases == nil:
			return lease{}, nil
		}
		text, _ := json.Marshal(presence{m.self.Machine}) // a string
		held, end := context.WithCancel(context.WithoutCancel(ctx))
		stop := context.AfterFunc(ctx, end)
		lost, err := m.opt.Leases.Hold(held, presentKey+m.self.Name, item.Revision, text, PresenceTime)
		stop()
		if err == nil {
			return lease{lost, end}, nil
		}
		end()
		if !errors.Is(err, store.ErrConflict) || sleep.For(ctx, retryTime) != nil {
			return lease{}, err
		}
	}
}

// stayPresent keeps this node present until ctx ends, but for the time in which another process of it does. Its lease
// goes on until the store closes: nobody may find this node absent before Leave.
func (m *Member) stayPresent(ctx context.Context) {
	is := m.lease
	for {
		var again <-chan time.Time
		if is.lost == nil {
			again = time.After(retryTime)
		}
		select {
		case <-again:
		case <-is.lost:
		case <-m.resumed: // the other process has the entry
		case <-ctx.Done():
			return
		}
		next, err := lease{}, error(nil)
		if !m.isPaused() {
			next, err = m.hold(ctx)
		}
		if err != nil && !errors.Is(err, store.ErrAway) && ctx.Err() == nil {
			m.opt.Failed(err)
		}
		is.release()
		is = next
	}
}

// followPresence looks again whenever somebody comes or goes, until ctx ends or the store closes.
func (m *Member) followPresence(ctx context.Context) {
	changes, err := m.store.Watch(ctx, presentKey)
	if err != nil {
		m.opt.Failed(err)
		return
	}
	for range changes {
		m.look()
	}
}

// look notes who is registered and present now.
func (m *Member) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil { // Join is not over
		return
	}
	before := make(map[string]NodeState, len(m.all))
	for _, node := range m.all {
		before[node.Name] = node
	}
	items, err := Registered(context.Background(), m.store) // from memory; also what cannot be read, since it counts
	if err != nil {
		return // the store has closed
	}
	all, changed := make([]NodeState, 0, len(items)), len(items) != len(m.all)
	for _, item := range items {
		now := m.state(item)
		was, known := before[item.Name]
		switch {
		case known && was.Present == now.Present && was.Boot == now.Boot:
			now.Since = was.Since
		case len(m.all) == 0:
			now.Since = m.began
			fallthrough
		default:
			changed = true
		}
		all = append(all, now)
	}
	m.all = all
	if changed {
		m.tell()
	}
}

// tell says that who is registered or present has changed. The caller holds mu.
func (m *Member) tell() {
	for told := range m.moved {
		select {
		case told <- struct{}{}:
		default:
		}
	}
}

// state is how a node is whose registration was read. A node is present before it registers, and until it has stored
// that it has stopped. So one that is not present has one registration, before and after that is looked up.
func (m *Member) state(item store.Item[Node]) NodeState {
	for {
		present := m.isPresent(item)
		after, err := item, error(nil)
		if !present {
			after, err = m.nodes.Get(context.Background(), item.Name) // from memory
		}
		if err != nil || after.Err != nil || after.Revision == item.Revision || after.Revision == 0 {
			item.Value.Name = item.Name
			return NodeState{Node: item.Value, Present: present, Since: time.Now()}
		}
		item = after
	}
}

// isPresent says whether a node counts as present.
func (m *Member) isPresent(item store.Item[Node]) bool {
	if item.Name == m.self.Name {
		return true
	}
	if m.opt.Leases == nil {
		return !item.Value.Stopped
	}
	_, err := m.store.Get(context.Background(), presentKey+item.Name) // from memory
	return err == nil
}

// Nodes are all registered nodes, sorted by name.
func (m *Member) Nodes() []NodeState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.all)
}

// Present are the names of the nodes that are present, sorted. This one is always among them.
func (m *Member) Present() []string {
	names := []string{m.self.Name}
	for _, node := range m.Nodes() {
		if node.Present && node.Name != m.self.Name {
			names = append(names, node.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Absent are the nodes that are not present and have not ended properly, sorted by name: they may still serve users.
func (m *Member) Absent() (all []NodeState) {
	for _, node := range m.Nodes() {
		if !node.Present && !node.Stopped {
			all = append(all, node)
		}
	}
	return all
}

// Changed returns a channel that gets a token when who is registered or present has changed, until ctx ends.
func (m *Member) Changed(ctx context.Context) <-chan struct{} {
	told := make(chan struct{}, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved[told] = true
	context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.moved, told)
	})
	return told
}
