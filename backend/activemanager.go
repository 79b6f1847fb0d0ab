package backend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	blocked   map[string]bool   // mailbox servers by name
	policy    map[string]Policy // mailbox servers by name, where it was changed by command
	placed    map[string]string // users who were moved, by name: their database
	users     map[string]*held  // users with sign-ins under way
}

// held counts sign-ins that are under way, and holds those to come while something moves. It is guarded by the manager's mutex.
type held struct {
	signIns int
	idle    chan struct{} // while held: closed when no sign-in is under way any more
	held    chan struct{} // while held: closed when sign-ins may go on
	waiting int           // sign-ins that are held
}

// Policy says whether databases are activated on a server of themselves: Exchange's DatabaseCopyAutoActivationPolicy.
type Policy string

// The policies. What somebody asks for by name is done whatever the policy.
const (
	Unrestricted    Policy = "Unrestricted"
	BlockedByPolicy Policy = "Blocked"
)

// database is a database's state. Its fields are guarded by the manager's mutex.
type database struct {
	held
	copies    []string // never changed; Configure makes another
	hook      Hook     // nil for none
	active    string
	suspended []string // after a move that has failed: the servers that it was between, and nobody may be let in
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
	movingKey  = "moving/"  // and a database, while its copies are deactivated and activated: the mailbox servers it is between
	blockedKey = "blocked/" // and a mailbox server that no database may be activated on
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
		store: s, databases: make(map[string]*database), blocked: make(map[string]bool), policy: make(map[string]Policy),
		placed: make(map[string]string), users: make(map[string]*held),
	}
	for key, take := range map[string]func(name, value string){
		blockedKey: func(name, _ string) { m.blocked[name] = true },
		policyKey:  func(name, value string) { m.policy[name] = Policy(value) },
		placedKey:  func(name, value string) { m.placed[name] = value },
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

// await waits until what is held is let go. The mutex is free meanwhile.
func (m *ActiveManager) await(ctx context.Context, h *held, wait func(func())) error {
	if h.waiting >= maxHeld {
		return fmt.Errorf("%d sign-ins wait already", h.waiting)
	}
	h.waiting++
	held := h.held
	m.mu.Unlock()
	err := errors.New("it took too long")
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
	h.waiting--
	return err
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

// over counts one sign-in less.
func (h *held) over() {
	if h.signIns = max(h.signIns-1, 0); h.signIns == 0 && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
}

// forget drops a user's count that says nothing.
func (m *ActiveManager) forget(user string, u *held) {
	if u.signIns == 0 && u.held == nil && u.waiting == 0 {
		delete(m.users, user)
	}
}

// hold holds the sign-ins to come. What it returns is closed when none is under way any more.
func (h *held) hold() (quiet chan struct{}) {
	h.held = make(chan struct{})
	quiet = make(chan struct{})
	if h.signIns == 0 {
		close(quiet)
	} else {
		h.idle = quiet
	}
	return quiet
}

// letGo lets them go on.
func (h *held) letGo() {
	close(h.held)
	h.held, h.idle = nil, nil
}

// calm waits until no sign-in is under way any more.
func calm(ctx context.Context, quiet <-chan struct{}) error {
	patient, cancel := context.WithTimeout(ctx, quietTime)
	defer cancel()
	select {
	case <-quiet:
		return nil
	case <-patient.Done():
		return fmt.Errorf("waiting for the sign-ins under way: %w", context.Cause(patient))
	}
}

// Move makes server's copy of a database the active one. Sign-ins to the database are held meanwhile; those under way are waited for,
// and then end has to end the database's sessions and return when none is left. A failure leaves everything as it was, but for the
// sessions that have ended; unless it is the hook's. That leaves the database suspended: nobody is let in until it is moved again.
func (m *ActiveManager) Move(ctx context.Context, name, server string, end func(database string)) error {
	m.moving.Lock()
	defer m.moving.Unlock()
	d, quiet, err := m.hold(name, server)
	if d == nil {
		return err
	}
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		d.letGo()
	}()
	if err := calm(ctx, quiet); err != nil {
		return fmt.Errorf("database %s: %w", name, err)
	}
	end(name)
	if err := m.activate(ctx, name, d, server); err != nil {
		return fmt.Errorf("database %s: %w", name, err)
	}
	return nil
}

// activate changes which copy is active: by the database's hook, if it has one.
func (m *ActiveManager) activate(ctx context.Context, name string, d *database, server string) error {
	var between []string // servers where the database may be active
	if d.hook != nil {
		between = d.suspended
		for _, at := range []string{d.active, server} {
			if !slices.Contains(between, at) {
				between = append(between[:len(between):len(between)], at)
			}
		}
		if err := m.put(ctx, movingKey+name, strings.Join(between, " ")); err != nil {
			return err
		}
		m.suspend(d, between)
		for _, from := range between {
			if from == server {
				continue
			}
			if err := d.hook.Deactivate(ctx, name, from, server); err != nil {
				return fmt.Errorf("%w: deactivate the copy on %s: %w", ErrSuspended, from, err)
			}
		}
		if err := d.hook.Activate(ctx, name, d.active, server); err != nil {
			return fmt.Errorf("%w: activate the copy on %s: %w", ErrSuspended, server, err)
		}
	}
	if err := m.put(ctx, activeKey+name, server); err != nil {
		return err
	}
	if between != nil || len(d.suspended) > 0 {
		if err := m.remove(ctx, movingKey+name); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d.active, d.suspended = server, nil
	return nil
}

func (m *ActiveManager) suspend(d *database, between []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d.suspended = between
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
	case d.active == server && len(d.suspended) == 0:
		return nil, nil, nil
	case m.blocked[server]:
		return nil, nil, fmt.Errorf("database %s, mailbox server %s: %w", name, server, ErrBlocked)
	}
	return d, d.held.hold(), nil
}

// MoveUser puts a user into another database from now on, whatever the directory says; "" takes that back. The user's sign-ins are held
// meanwhile; those under way are waited for, and then end has to end the user's sessions. Mail does not move by it. A failure leaves
// everything as it was, but for the sessions.
func (m *ActiveManager) MoveUser(ctx context.Context, user, database string, end func(user string)) error {
	m.moving.Lock()
	defer m.moving.Unlock()
	m.mu.Lock()
	if m.databases[database] == nil && database != "" {
		m.mu.Unlock()
		return fmt.Errorf("database %s: %w", database, ErrUnknownName)
	}
	u := m.user(user)
	quiet := u.hold()
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		u.letGo()
		m.forget(user, u)
	}()
	if err := calm(ctx, quiet); err != nil {
		return fmt.Errorf("user %s: %w", user, err)
	}
	end(user)
	var err error
	if database == "" {
		err = m.remove(ctx, placedKey+user)
	} else {
		err = m.put(ctx, placedKey+user, database)
	}
	if err != nil {
		return fmt.Errorf("user %s: %w", user, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.placed, user)
	if database != "" {
		m.placed[user] = database
	}
	return nil
}

// Placed returns the database that a user was moved to, if it is there.
func (m *ActiveManager) Placed(user string) (database string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	database, ok = m.placed[user]
	return database, ok && m.databases[database] != nil
}

// SetPolicy says whether databases are activated on a server of themselves; "" leaves that to the configuration.
func (m *ActiveManager) SetPolicy(ctx context.Context, server string, p Policy) error {
	m.moving.Lock()
	defer m.moving.Unlock()
	var err error
	if p == "" {
		err = m.remove(ctx, policyKey+server)
	} else {
		err = m.put(ctx, policyKey+server, string(p))
	}
	if err != nil {
		return fmt.Errorf("policy of %s: %w", server, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.policy, server)
	if p != "" {
		m.policy[server] = p
	}
	return nil
}

// Policy returns a server's policy where it was changed by command, or "".
func (m *ActiveManager) Policy(server string) Policy {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.policy[server]
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
	if err := m.remove(ctx, blockedKey+server); err != nil {
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
				Database: name, Server: server, Active: server == d.active, Moving: d.held.held != nil, Blocked: m.blocked[server],
				Suspended: slices.Contains(d.suspended, server),
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
