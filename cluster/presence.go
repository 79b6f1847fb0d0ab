package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"portico/configs/store"
	"portico/sleep"
)

// PresenceTime is how long a node that is silent still counts as present.
const PresenceTime = 10 * time.Second

// Leases keep entries that go away by themselves when their writer is silent.
type Leases interface {
	// Hold keeps an entry, which must not exist (else the error is store.ErrConflict), until ctx ends or its writer
	// has been silent for ttl. lost is closed when the entry is gone.
	Hold(ctx context.Context, key string, value []byte, ttl time.Duration) (lost <-chan struct{}, err error)
}

// presence is what a node that is present says of itself.
type presence struct {
	Machine string `json:"machine,omitempty"`
	Boot    string `json:"boot"`
}

func presences(s store.Store) store.Set[presence] { return store.SetOf[presence](s, presentKey) }

// sighting is since when a node is present, or is not. It begins again when the node registers.
type sighting struct {
	boot    string
	present bool
	since   time.Time
}

// bePresent keeps this node present until ctx ends. Right after a start, the entry of the process before may still be
// there.
func (m *Member) bePresent(ctx context.Context) {
	for ctx.Err() == nil {
		text, _ := json.Marshal(presence{m.self.Machine, m.Boot()}) // strings
		lost, err := m.opt.Leases.Hold(ctx, presentKey+m.self.Name, text, PresenceTime)
		switch {
		case err == nil:
			<-lost
			continue
		case !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrAway) && ctx.Err() == nil:
			m.opt.Failed(err)
		}
		sleep.For(ctx, retryTime)
	}
}

// look notes who is present now.
func (m *Member) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil || m.present == nil { // Join is not over
		return
	}
	first, changed, still := len(m.since) == 0, false, make(map[string]sighting)
	for _, item := range m.seen.All() {
		now := sighting{item.Value.Boot, m.isPresent(item), time.Now()}
		before, known := m.since[item.Name]
		switch {
		case known && before.present == now.present && before.boot == now.boot:
			now = before
		case first:
			now.since = m.began
			fallthrough
		default:
			changed = true
		}
		still[item.Name] = now
	}
	if changed || len(still) != len(m.since) {
		m.tell()
	}
	m.since = still
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

// isPresent says whether a node counts as present. The caller holds mu.
func (m *Member) isPresent(item store.Item[Node]) bool {
	if item.Name == m.self.Name {
		return true
	}
	if m.opt.Leases == nil {
		return !item.Value.Stopped
	}
	return m.present.Item(item.Name).Revision != 0
}

// Nodes are all registered nodes, sorted by name.
func (m *Member) Nodes() []NodeState {
	items := m.seen.All()
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]NodeState, 0, len(items))
	for _, item := range items {
		node := item.Value
		node.Name = item.Name
		is := m.since[item.Name]
		all = append(all, NodeState{Node: node, Present: is.present, Since: is.since})
	}
	return all
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
