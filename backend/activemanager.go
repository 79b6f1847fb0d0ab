package backend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"portico/configs/store"
)

// ActiveManager knows which copy of each database is active, and which mailbox servers may not get any. Both are kept in the store: a
// database begins with its first copy, and only Move changes that, so a server that recovers gets nothing back by itself. One
// manager lives as long as the program; see Configure. Its methods are safe for concurrent use.
//
// While a database moves, sign-ins to it are held (see lease) and those under way are waited for, so that no user is on two copies.
type ActiveManager struct {
	store store.Store

	moving sync.Mutex // one change at a time; taken before mu

	mu        sync.Mutex // guards the rest
	databases map[string]*database
	blocked   map[string][]string // mailbox servers by name: who blocks them
	policy    map[string]Policy   // mailbox servers by name, where it was changed by command
	placed    map[string]string   // users who were moved, by name: their database
	users     map[string]*held    // users with sign-ins under way
}

// database is a database's state. Its fields are guarded by the manager's mutex.
type database struct {
	held
	copies    []string // never changed; Configure makes another
	hook      Hook     // nil for none
	active    string
	suspended []string // after a move that has failed: the servers that it was between, and nobody may be let in
}

// Keys of the store.
const (
	activeKey  = "active/"  // and a database: the mailbox server with its active copy
	movingKey  = "moving/"  // and a database, while its copies are deactivated and activated: the mailbox servers it is between
	blockedKey = "blocked/" // and a mailbox server that no database may be activated on: who has asked for that
	policyKey  = "policy/"  // and a mailbox server: its policy
	placedKey  = "placed/"  // and a user: the database that the user was moved to
)

// What a change can be refused for; use errors.Is.
var (
	ErrUnknownName = errors.New("no such name")
	ErrNoCopy      = errors.New("no copy of the database there")
	ErrBlocked     = errors.New("activation is blocked there")
	ErrSuspended   = errors.New("no copy may be active: a move has failed, and has to be made again")
)

// NewActiveManager returns a manager with what the store says. It knows no database before Configure. With a nil store nothing
// survives the program.
func NewActiveManager(ctx context.Context, s store.Store) (*ActiveManager, error) {
	if s == nil {
		s = store.Memory()
	}
	m := &ActiveManager{
		store: s, databases: make(map[string]*database), blocked: make(map[string][]string), policy: make(map[string]Policy),
		placed: make(map[string]string), users: make(map[string]*held),
	}
	for key, take := range map[string]func(name, value string){
		blockedKey: func(name, value string) {
			if value == "blocked" { // as it was written before there were several who could
				value = ByOperator
			}
			m.blocked[name] = strings.Fields(value)
		},
		policyKey: func(name, value string) { m.policy[name] = Policy(value) },
		placedKey: func(name, value string) { m.placed[name] = value },
	} {
		if err := m.each(ctx, key, take); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// each calls take for every entry of the store under a key.
func (m *ActiveManager) each(ctx context.Context, key string, take func(name, value string)) error {
	entries, err := m.store.List(ctx, key)
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	for _, e := range entries {
		take(e.Key[len(key):], string(e.Value))
	}
	return nil
}

// Configure gives the manager the databases there are. A database keeps its active copy if that is still among its copies; else the
// first is active.
func (m *ActiveManager) Configure(ctx context.Context, databases []DatabaseOptions) error {
	m.moving.Lock()
	defer m.moving.Unlock()
	stored, between := make(map[string]string), make(map[string]string)
	err := errors.Join(
		m.each(ctx, activeKey, func(name, value string) { stored[name] = value }),
		m.each(ctx, movingKey, func(name, value string) { between[name] = value }),
	)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := make(map[string]*database, len(databases))
	for _, o := range databases {
		d := &database{copies: slices.Clone(o.Copies), hook: o.Hook, active: o.Copies[0], suspended: strings.Fields(between[o.Name])}
		if at := stored[o.Name]; slices.Contains(d.copies, at) {
			d.active = at
		}
		if before := m.databases[o.Name]; before != nil {
			d.signIns = before.signIns // their leases end here
		}
		now[o.Name] = d
	}
	m.databases = now
	return nil
}

// Active returns the server with the active copy of a database; ok is false if there is no such database.
func (m *ActiveManager) Active(name string) (server string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.databases[name]
	if d == nil {
		return "", false
	}
	return d.active, true
}

// lease returns the servers with a copy of a database, the active one first and then those behind it in the configured order, around
// the end, and counts a sign-in of a user as under way until release. A user in no database, named "", has no such servers. While the database or the user is held it waits, by wait, which
// may let others compute meanwhile.
func (m *ActiveManager) lease(ctx context.Context, name, user string, wait func(func())) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		d := m.databases[name]
		switch {
		case name == "":
			d = &database{}
		case d == nil:
			return nil, fmt.Errorf("database %s: %w", name, ErrUnknownName)
		case len(d.suspended) > 0 && d.held.held == nil:
			return nil, fmt.Errorf("database %s: %w", name, ErrSuspended)
		}
		stands := &d.held
		if u := m.users[user]; stands.held == nil && u != nil && u.held != nil {
			stands = u
		}
		if stands.held == nil {
			d.signIns++
			m.user(user).signIns++
			return d.inOrder(), nil
		}
		if err := m.await(ctx, stands, wait); err != nil {
			return nil, fmt.Errorf("database %s is moving, or the user: %w", name, err)
		}
	}
}

// inOrder returns the servers with a copy, the active one first.
func (d *database) inOrder() []string {
	i := slices.Index(d.copies, d.active)
	if i <= 0 {
		return d.copies
	}
	return slices.Concat(d.copies[i:], d.copies[:i])
}

// user returns the count of a user's sign-ins.
func (m *ActiveManager) user(name string) *held {
	if m.users[name] == nil {
		m.users[name] = &held{}
	}
	return m.users[name]
}

// release ends what lease began: the sign-in has failed, or its session can be ended by whoever moves the database or the user.
func (m *ActiveManager) release(name, user string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u := m.users[user]; u != nil {
		u.over()
		m.forget(user, u)
	}
	if d := m.databases[name]; d != nil {
		d.over()
	}
}

// forget drops a user's count that says nothing.
func (m *ActiveManager) forget(user string, u *held) {
	if u.signIns == 0 && u.held == nil && u.waiting == 0 {
		delete(m.users, user)
	}
}

// put stores a value, whatever was there. Only this program changes these keys, so a conflict is another node's change: it is tried
// again once.
func (m *ActiveManager) put(ctx context.Context, key, value string) error {
	for try := 0; ; try++ {
		entry, err := m.store.Get(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		_, err = m.store.CompareAndSet(ctx, key, entry.Revision, []byte(value))
		if !errors.Is(err, store.ErrConflict) || try > 0 {
			return err
		}
	}
}

// remove removes a key that may not be there.
func (m *ActiveManager) remove(ctx context.Context, key string) error {
	entry, err := m.store.Get(ctx, key)
	if err == nil {
		err = m.store.Delete(ctx, key, entry.Revision)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// CopyState is one copy of a database.
type CopyState struct {
	Database string
	Server   string
	Active   bool
	Moving   bool // the database's sign-ins are held
	// Suspended says that a move has failed, which may have left this copy active; nobody is let in.
	Suspended bool
	Blocked   bool // nothing may be activated on the server
}

// Copies lists all copies, by database and in its order.
func (m *ActiveManager) Copies() []CopyState {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []CopyState
	for _, name := range slices.Sorted(maps.Keys(m.databases)) {
		d := m.databases[name]
		for _, server := range d.copies {
			all = append(all, CopyState{
				Database: name, Server: server, Active: server == d.active, Moving: d.held.held != nil, Blocked: len(m.blocked[server]) > 0,
				Suspended: slices.Contains(d.suspended, server),
			})
		}
	}
	return all
}
