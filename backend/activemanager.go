package backend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

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
	blocked   map[string]bool // mailbox servers by name
}

// database is a database's state. Its fields are guarded by the manager's mutex.
type database struct {
	copies  []string // never changed; Configure makes another
	active  string
	signIns int           // under way
	idle    chan struct{} // while held: closed when no sign-in is under way any more
	held    chan struct{} // while held: closed when sign-ins may go on
	waiting int           // sign-ins that are held
}

// Of sign-ins that are held.
const (
	maxHeld  = 10_000           // of one database; more are refused
	holdTime = 30 * time.Second // then it is refused
	// quietTime is how long a move waits for sign-ins under way.
	quietTime = time.Minute
)

// Keys of the store.
const (
	activeKey  = "active/"  // and a database: the mailbox server with its active copy
	blockedKey = "blocked/" // and a mailbox server that no database may be activated on
)

// What a change can be refused for; use errors.Is.
var (
	ErrUnknownName = errors.New("no such name")
	ErrNoCopy      = errors.New("no copy of the database there")
	ErrBlocked     = errors.New("activation is blocked there")
)

// NewActiveManager returns a manager with what the store says. It knows no database before Configure. With a nil store nothing
// survives the program.
func NewActiveManager(ctx context.Context, s store.Store) (*ActiveManager, error) {
	if s == nil {
		s = store.Memory()
	}
	m := &ActiveManager{store: s, databases: make(map[string]*database), blocked: make(map[string]bool)}
	entries, err := s.List(ctx, blockedKey)
	if err != nil {
		return nil, fmt.Errorf("read what is blocked: %w", err)
	}
	for _, e := range entries {
		m.blocked[e.Key[len(blockedKey):]] = true
	}
	return m, nil
}

// Configure gives the manager the databases there are. A database keeps its active copy if that is still among its copies; else the
// first is active.
func (m *ActiveManager) Configure(ctx context.Context, databases []DatabaseOptions) error {
	m.moving.Lock()
	defer m.moving.Unlock()
	stored := make(map[string]string)
	entries, err := m.store.List(ctx, activeKey)
	if err != nil {
		return fmt.Errorf("read the active copies: %w", err)
	}
	for _, e := range entries {
		stored[e.Key[len(activeKey):]] = string(e.Value)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := make(map[string]*database, len(databases))
	for _, o := range databases {
		d := &database{copies: slices.Clone(o.Copies), active: o.Copies[0]}
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
// the end, and counts a sign-in as under way until release. While the database is held it waits, by wait, which may let others
// compute meanwhile.
func (m *ActiveManager) lease(ctx context.Context, name string, wait func(func())) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		d := m.databases[name]
		switch {
		case d == nil:
			return nil, fmt.Errorf("database %s: %w", name, ErrUnknownName)
		case d.held == nil:
			d.signIns++
			i := slices.Index(d.copies, d.active)
			if i == 0 {
				return d.copies, nil
			}
			return slices.Concat(d.copies[i:], d.copies[:i]), nil
		case d.waiting >= maxHeld:
			return nil, fmt.Errorf("database %s is moving, and %d sign-ins wait for it", name, d.waiting)
		}
		d.waiting++
		held := d.held
		m.mu.Unlock()
		err := errors.New("its move took too long")
		wait(func() {
			timer := time.NewTimer(holdTime)
			defer timer.Stop()
			select {
			case <-held:
				err = nil
			case <-ctx.Done():
				err = context.Cause(ctx)
			case <-timer.C:
			}
		})
		m.mu.Lock()
		d.waiting--
		if err != nil {
			return nil, fmt.Errorf("database %s is moving: %w", name, err)
		}
	}
}

// release ends what lease began: the sign-in has failed, or its session can be ended by whoever moves the database.
func (m *ActiveManager) release(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.databases[name]
	if d == nil {
		return
	}
	if d.signIns = max(d.signIns-1, 0); d.signIns == 0 && d.idle != nil {
		close(d.idle)
		d.idle = nil
	}
}

// Move makes server's copy of a database the active one. Sign-ins to the database are held meanwhile; those under way are waited for,
// and then end has to end the database's sessions and return when none is left. A failure leaves everything as it was, but for the
// sessions that have ended.
func (m *ActiveManager) Move(ctx context.Context, name, server string, end func(database string)) error {
	m.moving.Lock()
	defer m.moving.Unlock()
	return m.move(ctx, name, server, end)
}

func (m *ActiveManager) move(ctx context.Context, name, server string, end func(database string)) error {
	d, quiet, err := m.hold(name, server)
	if d == nil {
		return err
	}
	defer m.letGo(d)
	patient, cancel := context.WithTimeout(ctx, quietTime)
	defer cancel()
	select {
	case <-quiet:
	case <-patient.Done():
		return fmt.Errorf("database %s: waiting for the sign-ins under way: %w", name, context.Cause(patient))
	}
	end(name)
	if err := m.put(ctx, activeKey+name, server); err != nil {
		return fmt.Errorf("database %s: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d.active = server
	return nil
}

// hold checks a move and holds the database's sign-ins. It returns no database if there is nothing to do.
func (m *ActiveManager) hold(name, server string) (d *database, quiet chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d = m.databases[name]
	switch {
	case d == nil:
		return nil, nil, fmt.Errorf("database %s: %w", name, ErrUnknownName)
	case !slices.Contains(d.copies, server):
		return nil, nil, fmt.Errorf("database %s, mailbox server %s: %w", name, server, ErrNoCopy)
	case d.active == server:
		return nil, nil, nil
	case m.blocked[server]:
		return nil, nil, fmt.Errorf("database %s, mailbox server %s: %w", name, server, ErrBlocked)
	}
	d.held = make(chan struct{})
	quiet = make(chan struct{})
	if d.signIns == 0 {
		close(quiet)
	} else {
		d.idle = quiet
	}
	return d, quiet, nil
}

func (m *ActiveManager) letGo(d *database) {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(d.held)
	d.held, d.idle = nil, nil
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

// Block keeps databases from being activated on a server, until Unblock. Those that are active there stay so.
func (m *ActiveManager) Block(ctx context.Context, server string) error {
	m.moving.Lock()
	defer m.moving.Unlock()
	if err := m.put(ctx, blockedKey+server, "blocked"); err != nil {
		return fmt.Errorf("block %s: %w", server, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blocked[server] = true
	return nil
}

// Unblock lifts a block. Nothing moves back by that.
func (m *ActiveManager) Unblock(ctx context.Context, server string) error {
	m.moving.Lock()
	defer m.moving.Unlock()
	entry, err := m.store.Get(ctx, blockedKey+server)
	if err == nil {
		err = m.store.Delete(ctx, entry.Key, entry.Revision)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("unblock %s: %w", server, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blocked, server)
	return nil
}

// CopyState is one copy of a database.
type CopyState struct {
	Database string
	Server   string
	Active   bool
	Moving   bool // the database's sign-ins are held
	Blocked  bool // nothing may be activated on the server
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
				Database: name, Server: server, Active: server == d.active, Moving: d.held != nil, Blocked: m.blocked[server],
			})
		}
	}
	return all
}

// Blocked says whether activation is blocked on a server.
func (m *ActiveManager) Blocked(server string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.blocked[server]
}
