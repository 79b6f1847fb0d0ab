package move

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"sync"

	"portico/cluster"
	"portico/configs/store"
	"portico/sleep"
)

// acksKey and the name of a member are the key of what that member has acknowledged. One entry for all records: a
// member that has many things to end says so in few writes. Only a member that moves something reads them, so they are
// set aside.
const acksKey = store.Aside + "acks/"

// acknowledged says of which records, at which revision, a member lets nobody in, and has nobody in, because they
// close.
type acknowledged struct {
	Boot   string            `json:"boot"`   // of the member's registration
	Closed map[string]uint64 `json:"closed"` // by a record's key, its revision
}

func acksOf(s store.Store) store.Set[acknowledged] { return store.SetOf[acknowledged](s, acksKey) }

// given is what this member has acknowledged.
type given struct {
	turn     chan struct{} // has a token while the entry is written
	stored   acknowledged  // guarded by turn: what the entry says; empty while that is not known
	revision uint64        // guarded by turn: of the entry, as this process has written it last

	mu     sync.Mutex
	closed map[string]uint64 // what is to be acknowledged, until that is of no use any more
}

// acknowledge stores that this member has nobody in, because of a record at a revision. It returns the boot by which it
// is registered. What others want to acknowledge meanwhile is stored by the next write, all at once.
func (m *Members) acknowledge(ctx context.Context, key string, revision uint64) (boot string, err error) {
	g := &m.given
	g.mu.Lock()
	g.closed[key] = revision
	g.mu.Unlock()
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	boot, registered := m.self.While()
	if g.stored.Boot == boot && g.stored.Closed[key] == revision {
		return boot, nil
	}
	g.mu.Lock()
	now := acknowledged{boot, maps.Clone(g.closed)}
	g.mu.Unlock()
	now.Closed[key] = revision // whatever became of it meanwhile
	g.stored = acknowledged{}
	if err := m.write(ctx, registered, now); err != nil {
		return "", err
	}
	g.stored = now
	return boot, nil
}

// write stores what this member has acknowledged, while it is registered as it was. The caller has the turn.
func (m *Members) write(ctx context.Context, registered store.Writer, a acknowledged) error {
	g, key := &m.given, acksKey+m.self.Name()
	text, _ := json.Marshal(a) // strings and numbers
	revision, err := registered.CompareAndSet(ctx, key, g.revision, text)
	for errors.Is(err, store.ErrConflict) { // by an earlier process, or without an answer
		before, getErr := m.store.Get(ctx, key)
		if getErr != nil && !errors.Is(getErr, store.ErrNotFound) {
			return getErr
		}
		revision, err = registered.CompareAndSet(ctx, key, before.Revision, text)
	}
	if err == nil {
		g.revision = revision
	}
	return err
}

// forget leaves out of later writes that this member has acknowledged a record: that is of no use any more.
func (m *Members) forget(key string) {
	if m == nil {
		return
	}
	m.given.mu.Lock()
	defer m.given.mu.Unlock()
	delete(m.given.closed, key)
}

// Forget removes what a node has acknowledged that was removed from the site, unless it is back: that is of no use any
// more.
func Forget(ctx context.Context, s store.Store, node string) error {
	entry, err := s.Get(ctx, acksKey+node)
	if err == nil {
		err = cluster.WhileGone(s, node).Delete(ctx, entry.Key, entry.Revision)
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrLost) || errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

// heard is what members have acknowledged. It is only known while this member moves something.
type heard struct {
	mu      sync.Mutex
	by      map[string]acknowledged  // by the member's name
	waiting map[chan<- struct{}]bool // told when that changes
	stop    func()                   // ends listen, which runs while somebody waits
}

// hear follows what members acknowledge until done is called. news gets a token after each change.
func (m *Members) hear() (news <-chan struct{}, done func()) {
	h, told := &m.heard, make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 {
		ctx, stop := context.WithCancel(context.Background())
		h.by, h.stop = make(map[string]acknowledged), stop
		go m.listen(ctx)
	}
	h.waiting[told] = true
	return told, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if delete(h.waiting, told); len(h.waiting) == 0 {
			h.stop()
		}
	}
}

// listen takes in what members acknowledge, until ctx ends or the store closes.
func (m *Members) listen(ctx context.Context) {
	for {
		batches, err := acksOf(m.store).Watch(ctx)
		if err == nil {
			for batch := range batches {
				m.take(ctx, batch)
			}
		}
		if ctx.Err() != nil || err == nil || errors.Is(err, store.ErrClosed) {
			return
		}
		sleep.For(ctx, retryTime)
	}
}

func (m *Members) take(ctx context.Context, batch []store.Item[acknowledged]) {
	h := &m.heard
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil { // who has waited does not wait any more
		return
	}
	for _, item := range batch {
		h.by[item.Name] = item.Value
	}
	for told := range h.waiting {
		select {
		case told <- struct{}{}:
		default:
		}
	}
}
