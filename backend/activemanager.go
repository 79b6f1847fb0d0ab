package backend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"portico/backend/move"
	"portico/configs/store"
)

// ActiveManager knows where users are served: which copy of each database is active, which users were moved elsewhere,
// and which are on a canary. It also has the blocks and policies of mailbox servers and the copies that are Failed.
// All of that is in the store. The active copy is stored when a database is first configured. After that only a move
// changes it, here or by another writer of the store (see Run); a reload or a server that recovers does not. The
// manager lives as long as the program; see Configure. Its methods are safe for concurrent use.
//
// While a database moves, its new sign-ins are held (see lease), and the move waits for those in progress. So no user
// is on two copies. Databases move independently. Only another move of the same database waits for a move.
type ActiveManager struct {
	records     *move.Table   // where databases are active, and their moves
	movedUsers  *move.Table   // the users who were moved, and their moves
	canaryMoves *move.Table   // the canaries, and their changes
	members     *move.Members // nil: only this process lets users in
	stored      storedState

	configuring sync.Mutex // one Configure at a time; taken before mu

	mu        sync.Mutex // guards the rest; never held while the store writes
	databases map[string]*database
	blocked   map[string][]Blocker       // mailbox servers by name: who blocks them
	policy    map[string]Policy          // mailbox servers by name, where it was changed by command
	canaries  map[string]*canary         // by database; those that were once used
	placed    map[string]move.Record     // users who were moved, by name: the record by which they are let in
	users     map[string]*signinHold     // users with sign-ins under way, or who are held
	failed    map[copyOf]Failure         // copies that may not be chosen
	exchanges map[*saslExchange]struct{} // sign-ins that wait for their clients, and are not counted
}

// database is a database's state. It lives as long as the manager, so that a reload loses neither sign-ins nor a move
// in progress. The manager's mutex guards its fields.
type database struct {
	signinHold
	configured      bool     // the configuration has it
	copies          []string // never changed in place
	hook            Hook     // nil for none
	interchangeable bool     // a user finds the same mailbox on each copy
	active          string
	suspended       []string // after a move that has failed: the servers that it was between, and nobody may be let in
	to              string   // where it moves at present by this process, or ""
}

// lost says that the configuration has no copy on the server where the database is active. The database admits no
// users until it is moved.
func (d *database) lost() bool { return !slices.Contains(d.copies, d.active) }

// record is what the database's record says if this process does the same.
func (d *database) record() move.Record {
	if len(d.suspended) > 0 {
		return move.Record{Phase: move.Suspended, At: d.active, Between: d.suspended}
	}
	return move.OpenAt(d.active)
}

// take makes the database do what a record says, or said before it closed.
func (d *database) take(r move.Record) { d.active, d.suspended = r.At, r.Between }

// Reasons why a change is refused; use errors.Is.
var (
	ErrUnknownName = errors.New("unknown name")
	ErrNoCopy      = errors.New("the server has no copy of the database")
	ErrBlocked     = errors.New("activation on the server is blocked")
	ErrSuspended   = errors.New("no copy may be active after a failed move: move the database again")
	ErrLost        = errors.New("the server with the active copy is not among the configured copies")
	ErrNoAnswer    = errors.New("the mailbox server does not answer")
	ErrElsewhere   = errors.New("the database is now active on another server")
	ErrAbsent      = errors.New("a node of the site is absent, so nothing moves")
	// ErrMovedMeanwhile says that another writer of the store moves the same; it comes with store.ErrConflict.
	ErrMovedMeanwhile = move.ErrMeanwhile
)

// NewActiveManager reads the store and returns a manager. It knows no database before Configure. members have to agree
// on moves; nil says that only this process lets users in. failed is told which entries of the store cannot be read,
// now and later; nil tells nobody.
func NewActiveManager(ctx context.Context, s store.Store, members *move.Members,
	failed func(error)) (*ActiveManager, error) {
	m := &ActiveManager{
		members: members, databases: make(map[string]*database), placed: make(map[string]move.Record),
		canaries: make(map[string]*canary),
		users:    make(map[string]*signinHold), exchanges: make(map[*saslExchange]struct{}),
	}
	if err := joinMoving(ctx, s); err != nil {
		return nil, err
	}
	var err error
	m.records, err = move.NewTable(ctx, s, activeKey,
		move.Options{State: m.record, Members: members, Failed: failed})
	if err != nil {
		return nil, fmt.Errorf("read the active copies: %w", err)
	}
	if err := m.openMovedUsers(ctx, s, members, failed); err != nil {
		return nil, err
	}
	if err := m.openCanaries(ctx, s, members, failed); err != nil {
		return nil, err
	}
	return m, m.openStored(ctx, s, failed)
}

// record returns the record by which users are let in to a database, and whether they are held.
func (m *ActiveManager) record(name string) (r move.Record, held, has bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.databases[name]
	if d == nil || !d.configured {
		return move.Record{}, false, false
	}
	return d.record(), d.signinHold.held != nil, true
}

// Active returns the server with the active copy of a database; ok is false if there is no such database.
func (m *ActiveManager) Active(name string) (server string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.databases[name]
	if d == nil || !d.configured {
		return "", false
	}
	return d.active, true
}

// lease returns the servers with a copy of a database: the active one first, then those after it in the configured
// order, from the start again after the last. It counts a sign-in of a user as in progress until release. For the
// database "" there are no servers. While the database or the user is held, lease waits. It returns errStillHeld when
// the time within is over, or when the client closes its side.
func (m *ActiveManager) lease(ctx context.Context, name, user string, within time.Duration,
	by waiting) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		d := m.databases[name]
		switch {
		case name == "":
			d = &database{}
		case d == nil || !d.configured:
			return nil, fmt.Errorf("database %s: %w", name, ErrUnknownName)
		case len(d.suspended) > 0 && d.signinHold.held == nil:
			return nil, fmt.Errorf("database %s: %w", name, ErrSuspended)
		case d.lost() && d.signinHold.held == nil:
			return nil, fmt.Errorf("database %s, mailbox server %s: %w", name, d.active, ErrLost)
		}
		stands := m.holding(name, user)
		if stands == nil && m.placed[user].Phase == move.Suspended {
			return nil, fmt.Errorf("user %s: %w", user, ErrUserSuspended)
		}
		if stands == nil {
			d.signIns++
			m.user(user).signIns++
			return m.arrange(name, d, user, m.inOrder(name, d)), nil
		}
		if err := m.await(ctx, stands, within, by); err != nil {
			return nil, fmt.Errorf("database %s, or the user, is moving: %w", name, err)
		}
	}
}

// holding returns what holds the sign-ins of a user to a database: the database, the user or the canary; nil if nothing
// does. The caller holds mu.
func (m *ActiveManager) holding(name, user string) *signinHold {
	d, u, c := m.databases[name], m.users[user], m.canaries[name]
	switch {
	case d != nil && d.signinHold.held != nil:
		return &d.signinHold
	case u != nil && u.held != nil:
		return u
	case c != nil && c.concerns(user):
		return &c.signinHold
	}
	return nil
}

// inOrder returns the servers with a copy, the active one first, without others that are Failed or blocked. The caller
// holds mu.
func (m *ActiveManager) inOrder(name string, d *database) []string {
	ordered := d.copies
	if i := slices.Index(d.copies, d.active); i > 0 {
		ordered = slices.Concat(d.copies[i:], d.copies[:i])
	}
	if len(m.failed) == 0 && len(m.blocked) == 0 {
		return ordered
	}
	return slices.DeleteFunc(slices.Clone(ordered), func(server string) bool {
		_, failed := m.failed[copyOf{name, server}]
		return (failed || len(m.blocked[server]) > 0) && server != d.active
	})
}

// Interchangeable returns the servers with copies of a database: nil if there is no such database, and none if its
// copies are not interchangeable.
func (m *ActiveManager) Interchangeable(name string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.databases[name]
	switch {
	case d == nil || !d.configured:
		return nil
	case !d.interchangeable:
		return []string{}
	}
	return slices.Clone(d.copies)
}

// serves returns the server to which a user of a database is sent first; "" if there is no such database.
func (m *ActiveManager) serves(name, user string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.databases[name]
	if d == nil || !d.configured {
		return ""
	}
	if len(d.suspended) > 0 || d.lost() {
		return d.active
	}
	return m.arrange(name, d, user, m.inOrder(name, d))[0]
}

// alternatives returns what lease returns behind the active copy's server, without waiting and counting; none where
// lease fails.
func (m *ActiveManager) alternatives(name string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.databases[name]
	if d == nil || !d.configured || len(d.suspended) > 0 || d.lost() {
		return nil
	}
	return slices.Clone(m.inOrder(name, d)[1:])
}

// user returns the count of a user's sign-ins.
func (m *ActiveManager) user(name string) *signinHold {
	if m.users[name] == nil {
		m.users[name] = &signinHold{}
	}
	return m.users[name]
}

// release ends what lease began: the sign-in has failed, or a move can end its session.
func (m *ActiveManager) release(name, user string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.giveBack(name, user)
}

// giveBack is release for a caller that holds the mutex.
func (m *ActiveManager) giveBack(name, user string) {
	if u := m.users[user]; u != nil {
		if u.signInOver(); u.signIns == 0 {
			m.userIsQuiet(user)
		}
		m.forget(user, u)
	}
	if d := m.databases[name]; d != nil {
		d.signInOver()
	}
}

// forget drops a user's count if it is zero.
func (m *ActiveManager) forget(user string, u *signinHold) {
	if u.signIns == 0 && u.held == nil && u.waiting == 0 {
		delete(m.users, user)
	}
}

// CopyState is one copy of a database.
type CopyState struct {
	Database string
	Server   string
	Active   bool
	Moving   bool // the database's sign-ins are held
	// Suspended says that a move has failed, which may have left this copy active; nobody is let in.
	Suspended bool
	Failed    string // why the copy is Failed, or ""
	// the configuration has no such copy; it is listed because it is the active one, and nobody is let in
	Lost    bool
	Blocked bool // nothing may be activated on the server
}

// Copies lists all copies, by database and in its order. An active copy that the configuration does not have comes
// last.
func (m *ActiveManager) Copies() []CopyState {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []CopyState
	for _, name := range slices.Sorted(maps.Keys(m.databases)) {
		all = append(all, m.copiesOf(name)...)
	}
	return all
}

// copiesOf lists the copies of one database. The caller holds mu.
func (m *ActiveManager) copiesOf(name string) []CopyState {
	d := m.databases[name]
	if d == nil || !d.configured {
		return nil
	}
	servers := d.copies
	if d.lost() {
		servers = append(slices.Clip(servers), d.active)
	}
	var all []CopyState
	for i, server := range servers {
		all = append(all, CopyState{
			Database: name, Server: server, Failed: m.failed[copyOf{name, server}].Reason, Active: server == d.active,
			Moving: d.signinHold.held != nil, Blocked: len(m.blocked[server]) > 0,
			Suspended: slices.Contains(d.suspended, server), Lost: i >= len(d.copies),
		})
	}
	return all
}
