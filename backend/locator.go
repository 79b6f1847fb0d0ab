package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"portico/backend/directory"
)

// locator finds the database or mailbox server that a user's mailbox is in. It does not change.
type locator struct {
	topology  *topology
	active    *ActiveManager    // knows which users a command has moved
	directory directory.Source  // nil leaves it to router
	homes     map[string]string // the databases of health mailboxes, by user
	router    *Router           // nil where only the directory can decide
	standIns  *Router           // of users who have no mailbox

	closeDirectory func() // nil where nothing has to be closed
	// lookups guards the connections of directory: where holds it for reading, and close for writing. Sign-ins need no
	// lock, since the tier is closed after its last sign-in.
	lookups sync.RWMutex
}

// configure is called once, before the first lookup.
func (l *locator) configure(o Options, configured *topology) {
	l.topology, l.active, l.directory, l.homes, l.closeDirectory = configured, o.Active, o.Directory, o.Homes, o.Close
	l.standIns = NewRouter(databaseNames(o.Databases))
	if len(o.Databases) == 1 || o.Routing == RoutingHash {
		l.router = l.standIns
	}
}

// close closes the connections to directories, after the lookups of where in progress.
func (l *locator) close() {
	l.lookups.Lock()
	defer l.lookups.Unlock()
	if l.closeDirectory != nil {
		l.closeDirectory()
	}
}

// isProbe says whether a user is the one of a health mailbox.
func (l *locator) isProbe(user string) bool {
	_, probe := l.homes[user]
	return probe
}

// Where finds a user's database and its active copy as Route does, but does not wait or count. moved says that a
// command moved the user there. Errors are *Error.
func (t *Tier) Where(ctx context.Context, q directory.Query) (r Route, moved bool, err error) {
	return t.locator.where(ctx, q)
}

func (l *locator) where(ctx context.Context, q directory.Query) (r Route, moved bool, err error) {
	l.lookups.RLock()
	defer l.lookups.RUnlock()
	r.User = q.User
	entry, to, err := l.find(ctx, q)
	if err != nil {
		return r, false, &Error{Kind: kindOfDirectory(err), Phase: PhaseRoute, Err: err}
	}
	r.User = cmp.Or(entry.User, q.User)
	r.Database, r.Servers = entry.Database, []string{entry.Server}
	if entry.Database != "" {
		r.Servers = []string{l.active.serves(entry.Database, r.User)}
	}
	return r, to != "", nil
}

// HasDirectory says whether a directory knows which users there are.
func (t *Tier) HasDirectory() bool { return t.locator.directory != nil }

// find asks the directory, if there is one, and chooses a database for users for whom it names none. The entry names a
// database or a server that exists. moved is the database that the user was moved to, "" if to none.
func (l *locator) find(ctx context.Context, q directory.Query) (entry directory.Entry, moved string, err error) {
	entry = directory.Entry{User: q.User}
	if l.directory != nil {
		if entry, err = l.directory.Lookup(ctx, q); err != nil {
			return entry, l.active.movedTo(q.User), err
		}
	}
	user := cmp.Or(entry.User, q.User)
	if moved = l.active.movedTo(user); moved != "" {
		entry.Database, entry.Server, entry.Address = moved, "", ""
	}
	if database, ok := l.homes[user]; ok {
		entry.Database, entry.Server, entry.Address = database, "", ""
	}
	entry, err = l.known(entry, user)
	return entry, moved, err
}

// known completes an entry of a user, or returns an error if it names nothing that exists.
func (l *locator) known(entry directory.Entry, user string) (directory.Entry, error) {
	switch {
	case entry.Address != "":
		entry.Server = l.topology.byAddress[entry.Address]
		if entry.Server == "" {
			return entry, directory.Unavailable("directory",
				fmt.Errorf("no mailbox server has the address %q", entry.Address))
		}
	case entry.Server != "":
		if l.topology.servers[entry.Server] == nil {
			return entry, directory.Unavailable("directory", fmt.Errorf("there is no mailbox server %q", entry.Server))
		}
	case entry.Database != "":
		if _, ok := l.topology.interchangeable[entry.Database]; !ok {
			return entry, directory.Unavailable("directory", fmt.Errorf("there is no database %q", entry.Database))
		}
	case l.router == nil:
		return entry, directory.Unavailable("directory",
			errors.New("the directory knows the user but names no database or server, and there are several"))
	default:
		entry.Database = l.router.Database(user)
	}
	return entry, nil
}
