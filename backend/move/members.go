package move

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"portico/configs/store"
)

// Keys of the store.
const (
	membersKey = "members/" // and a name: its registration
	acksKey    = "acks/"    // and a record's key, a slash and a member: its acknowledgement
)

// MaxKey is the longest key of a record, so that a member's acknowledgement of it has a key too.
const MaxKey = store.MaxKey - len(acksKey) - 1 - maxName

const maxName = 64 // bytes of a member's name

// retryTime is how long a member waits before it tries again to change the store.
const retryTime = time.Second

// registration is a member as the store has it. It stays until somebody removes it: a member that cannot be reached
// may still let people in.
type registration struct {
	Boot    string `json:"boot"`              // random, new each time
	Stopped bool   `json:"stopped,omitempty"` // it has ended properly, so nobody is in
}

// acknowledgement says that a member lets nobody in, and that nobody is in, because of a record that closes.
type acknowledgement struct {
	Boot     string `json:"boot"`     // of the member's registration
	Revision uint64 `json:"revision"` // of the record
}

// Members are all that let people in, as one of them sees them. It is safe for concurrent use.
type Members struct {
	store    store.Store
	registry store.Set[registration]
	name     string

	joining sync.Mutex // held while the registration is written

	mu  sync.Mutex
	own store.Item[registration]
}

// Join registers this process by a name, which no other process may use at the same time. Nobody may be let in before
// that, and records must be read after it. The process that had the name before must have ended.
func Join(ctx context.Context, s store.Store, name string) (*Members, error) {
	if name == "" || len(name) > maxName || strings.Contains(name, "/") {
		return nil, fmt.Errorf("member %q: the name must have 1 to %d bytes and no slash", name, maxName)
	}
	m := &Members{store: s, registry: store.SetOf[registration](s, membersKey), name: name}
	return m, m.register(ctx, registration{Boot: rand.Text()})
}

// Leave says that this process has ended. Nobody may be in, and nobody be let in any more.
func (m *Members) Leave(ctx context.Context) error {
	return m.register(ctx, registration{Boot: m.registered().Value.Boot, Stopped: true})
}

// register writes this process's registration over whatever is there.
func (m *Members) register(ctx context.Context, r registration) error {
	m.joining.Lock()
	defer m.joining.Unlock()
	for {
		item, err := m.registry.Get(ctx, m.name)
		if err == nil {
			item.Value = r
			item, err = m.registry.Put(ctx, item)
		}
		if err == nil {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.own = item
			return nil
		}
		if !errors.Is(err, store.ErrConflict) || !wait(ctx, retryTime) {
			return fmt.Errorf("register as member %s: %w", m.name, err)
		}
	}
}

// registered is this process's registration.
func (m *Members) registered() store.Item[registration] {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.own
}

// keep registers this process again when its registration is gone: somebody has removed it, or has restored the store
// from an earlier copy. It returns when ctx ends or the store closes.
func (m *Members) keep(ctx context.Context, failed func(error)) {
	changes, err := m.store.Watch(ctx, membersKey+m.name)
	if err != nil {
		failed(err)
		return
	}
	for range changes {
		for {
			removed, err := m.removed(ctx)
			if removed {
				failed(fmt.Errorf("member %s: its registration was removed, so it registers again", m.name))
				err = m.register(ctx, registration{Boot: rand.Text()})
			}
			if err == nil || !wait(ctx, retryTime) {
				break
			}
			failed(err)
		}
	}
}

// removed says whether the store has another registration than this process has written last.
func (m *Members) removed(ctx context.Context) (bool, error) {
	m.joining.Lock() // else that may be about to be noted
	defer m.joining.Unlock()
	now, err := m.registry.Get(ctx, m.name)
	own := m.registered()
	return err == nil && now.Revision != own.Revision && !own.Value.Stopped, err
}

// acknowledge stores that this member has nobody in, because of a record at a revision.
func (m *Members) acknowledge(ctx context.Context, key string, revision uint64) error {
	own := m.registered()
	text, _ := json.Marshal(acknowledgement{own.Value.Boot, revision}) // a string and a number
	at := acksKey + key + "/" + m.name
	before, err := m.store.Get(ctx, at)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		_, err = m.store.While(membersKey+m.name, own.Revision).CompareAndSet(ctx, at, before.Revision, text)
	}
	return err
}

// forget removes this member's acknowledgement of a record, once it is of no use. If that fails, the next one replaces
// it.
func (m *Members) forget(ctx context.Context, key string) {
	before, err := m.store.Get(ctx, acksKey+key+"/"+m.name)
	if err == nil {
		_ = m.store.Delete(ctx, before.Key, before.Revision)
	}
}

// missing lists the other members that have not acknowledged a record at a revision.
func (m *Members) missing(ctx context.Context, key string, revision uint64) (names []string, err error) {
	all, err := m.registry.List(ctx)
	if err != nil {
		return nil, err
	}
	boot := m.registered().Value.Boot
	for _, member := range all {
		switch entry, err := m.store.Get(ctx, acksKey+key+"/"+member.Name); {
		case member.Err == nil && (member.Value.Stopped || member.Name == m.name && member.Value.Boot == boot):
		case errors.Is(err, store.ErrNotFound):
			names = append(names, member.Name)
		case err != nil:
			return nil, err
		default:
			var ack acknowledgement
			if json.Unmarshal(entry.Value, &ack) != nil || member.Err != nil ||
				ack != (acknowledgement{member.Value.Boot, revision}) {
				names = append(names, member.Name)
			}
		}
	}
	return names, nil
}

// wait returns false if ctx ends before d has passed.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
