package backend

import (
	"context"
	"errors"
	"fmt"

	"portico/backend/directory"
)

// Route is where a user's mailbox is.
type Route struct {
	User           string   // the canonical name to go by from here on
	Database       string   // "" for a user who is in none
	Servers        []string // to try, in this order; at least one
	Mode           directory.Mode
	MaxConnections int // of this user at once; 0 leaves it to the setting

	verified bool // the proxy may sign in for the user with its own credential
	leased   bool // the database can not move until Tier.Done
}

// Route finds a user's database, waits while that moves, and gives the servers to try now: the one with the active copy, and the
// others only if the database's copies are interchangeable. The context bounds all of it. Done has to be called with what it
// returns, when the sign-in is over. Errors are *Error.
func (t *Tier) Route(ctx context.Context, q directory.Query) (Route, error) {
	r := Route{User: q.User}
	entry, err := t.find(ctx, q)
	if err != nil {
		return r, &Error{Kind: kindOfDirectory(err), Phase: PhaseRoute, Err: err}
	}
	if entry.User != "" {
		r.User = entry.User
	}
	r.Mode, r.MaxConnections = entry.Mode, entry.MaxConnections
	if r.Mode == directory.ModeDefault {
		r.Mode = t.mode
	}
	if entry.Server != "" {
		r.Servers = []string{entry.Server}
		return r, nil
	}
	r.Database = entry.Database
	if r.Servers, err = t.active.lease(ctx, r.Database, q.Wait); err != nil {
		kind := KindNoActiveCopy
		if ctx.Err() != nil {
			kind = KindCancelled
		}
		return r, &Error{Kind: kind, Phase: PhaseRoute, Err: err}
	}
	r.leased = true
	if !t.interchangeable[r.Database] {
		r.Servers = r.Servers[:1]
	}
	return r, nil
}

// find asks the directory, if there is one, and gives those a database of whom it knows no place. The entry names a database or
// a server that exist.
func (t *Tier) find(ctx context.Context, q directory.Query) (directory.Entry, error) {
	entry := directory.Entry{User: q.User}
	if t.directory != nil {
		var err error
		if entry, err = t.directory.Lookup(ctx, q); err != nil {
			return entry, err
		}
	}
	switch {
	case entry.Address != "":
		entry.Server = t.byAddress[entry.Address]
		if entry.Server == "" {
			return entry, directory.Unavailable("directory", fmt.Errorf("no mailbox server has the address %q", entry.Address))
		}
	case entry.Server != "":
		if t.servers[entry.Server] == nil {
			return entry, directory.Unavailable("directory", fmt.Errorf("there is no mailbox server %q", entry.Server))
		}
	case entry.Database != "":
		if _, ok := t.interchangeable[entry.Database]; !ok {
			return entry, directory.Unavailable("directory", fmt.Errorf("there is no database %q", entry.Database))
		}
	case t.router == nil:
		return entry, directory.Unavailable("directory", errors.New("it knows the user and not the place, and there are several"))
	default:
		name := q.User
		if entry.User != "" {
			name = entry.User
		}
		entry.Database = t.router.Database(name)
	}
	return entry, nil
}

// kindOfDirectory says what a directory's error means for the sign-in.
func kindOfDirectory(err error) Kind {
	var refused *directory.RefusedError
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return KindNoMailbox
	case errors.As(err, &refused):
		return KindDisabled
	case errors.Is(err, context.Canceled):
		return KindCancelled
	}
	return KindDirectory
}
