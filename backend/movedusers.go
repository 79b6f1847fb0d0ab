package backend

import (
	"context"
	"errors"
	"fmt"

	"portico/backend/move"
	"portico/configs/store"
)

// maxMovedUsers is how many users may be in another database than the directory says. Each costs every node memory, and
// each of more would.
const maxMovedUsers = 50_000

// ErrTooManyMoved says that a directory should say where users are, and not moves.
var ErrTooManyMoved = fmt.Errorf("%d users have been moved already: name their databases in the directory, and "+
	"undo moves with --clear", maxMovedUsers)

// ErrUserSuspended says that it is not known in which database a user is.
var ErrUserSuspended = errors.New("the user's move has failed: move the user again")

// MoveUser puts a user into another database from now on, whatever the directory says; "" undoes that. It holds the
// user's new sign-ins, waits for those in progress, calls end, which must end the user's sessions, and waits until all
// members have done the same. It does not move mail. If it fails, only the sessions have changed. A second move of the
// same user waits for the first.
func (m *ActiveManager) MoveUser(ctx context.Context, user, database string, end func(user string)) (err error) {
	if len(movedUserKey+user) > move.MaxKey {
		return fmt.Errorf("user %s: cannot move a user whose name has %d bytes", user, len(user))
	}
	of, err := m.movedUsers.Begin(ctx, user)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("wait for another move: %w", err)
		}
		return fmt.Errorf("user %s: %w", user, err)
	}
	defer of.End()
	defer func() { m.settleUser(ctx, user, of) }()
	quiet, err := m.beginMoveUser(user, database, of.Record())
	if quiet == nil {
		return err
	}
	if err = m.empty(ctx, user, database, of, quiet, MoveOptions{End: end}); err == nil {
		err = of.Open(ctx, database)
	}
	if err != nil {
		return fmt.Errorf("user %s: %w", user, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.place(user, of.Record())
	return nil
}

// beginMoveUser checks a move and holds the user's sign-ins. quiet is nil if there is nothing to do.
func (m *ActiveManager) beginMoveUser(user, database string, is move.Record) (quiet chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch d := m.databases[database]; {
	case database != "" && (d == nil || !d.configured):
		return nil, fmt.Errorf("database %s: %w", database, ErrUnknownName)
	case is.Equal(move.OpenAt(database)):
		return nil, nil
	case is.Equal(move.OpenAt("")) && m.movedUsers.Len() >= maxMovedUsers:
		return nil, fmt.Errorf("user %s: %w", user, ErrTooManyMoved)
	}
	return m.holdUser(user), nil
}

// holdUser holds the sign-ins of a user. It returns a channel that is closed when none is in progress. The caller holds
// mu.
func (m *ActiveManager) holdUser(user string) (quiet chan struct{}) {
	m.endExchanges(func(x *saslExchange) bool { return x.user == user })
	return m.user(user).hold()
}

// settleUser lets a user in after a move. If another writer has changed that, the user's sign-ins stay held until it is
// followed.
func (m *ActiveManager) settleUser(ctx context.Context, user string, of *move.Move) {
	ours := of.Settle(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if ours {
		m.resumeUser(user)
	}
}

// resumeUser lets a user in. The caller holds mu.
func (m *ActiveManager) resumeUser(user string) {
	if u := m.users[user]; u != nil {
		u.resume()
		m.forget(user, u)
	}
}

// place makes a user be where a record says. The caller holds mu.
func (m *ActiveManager) place(user string, r move.Record) {
	if r.Equal(move.OpenAt("")) {
		delete(m.placed, user)
	} else {
		m.placed[user] = r
	}
}

// openMovedUsers reads which users were moved. Those whose moves are in progress are held.
func (m *ActiveManager) openMovedUsers(ctx context.Context, s store.Store, members *move.Members,
	failed func(error)) (err error) {
	m.movedUsers, err = move.NewTable(ctx, s, movedUserKey,
		move.Options{State: m.userRecord, Optional: true, Members: members, Failed: failed})
	if err != nil {
		return fmt.Errorf("read which users were moved: %w", err)
	}
	for _, item := range m.movedUsers.All() {
		m.place(item.Name, item.Value.Before())
		if item.Value.Phase == move.Closing {
			m.user(item.Name).hold()
		}
	}
	return nil
}

// userRecord returns the record by which a user is let in, and whether the user is held.
func (m *ActiveManager) userRecord(user string) (r move.Record, held, has bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, moved := m.placed[user]
	if !moved {
		r = move.OpenAt("")
	}
	u := m.users[user]
	return r, u != nil && u.held != nil, true
}

// movedTo returns the database that MoveUser put a user into, if that database is configured, and else "".
func (m *ActiveManager) movedTo(user string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	database := m.placed[user].At
	if d := m.databases[database]; d == nil || !d.configured {
		return ""
	}
	return database
}

// userMember does here what another writer has stored of a user. Sign-ins wait while the user's sessions end.
type userMember struct {
	m *ActiveManager
	o FollowOptions
}

var _ move.Member = userMember{}

// Hold implements move.Member.
func (f userMember) Hold(user string, because move.Record) {
	f.m.mu.Lock()
	f.m.holdUser(user)
	f.m.mu.Unlock()
	if because.Phase != move.Closing {
		f.tell(user, because)
	}
}

// tell says that another writer has moved a user, once for each move.
func (f userMember) tell(user string, r move.Record) {
	is, _, _ := f.m.userRecord(user)
	f.m.mu.Lock()
	u := f.m.user(user)
	told := u.told
	u.told = true
	f.m.mu.Unlock()
	if !told && !r.Equal(is) {
		f.o.UserMoved(user, r.At)
	}
}

// End implements move.Member.
func (f userMember) End(ctx context.Context, user string) error {
	f.m.mu.Lock()
	quiet := f.m.user(user).quiet()
	f.m.mu.Unlock()
	endAll(ctx, quiet, func() { f.o.EndUser(user) }, func(err error) {
		f.o.Failed(fmt.Errorf("user %s, moved by another writer of the store: %w", user, err))
	})
	return ctx.Err()
}

// Admit implements move.Member.
func (f userMember) Admit(user string, by move.Record) {
	f.tell(user, by)
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.place(user, by)
	f.m.resumeUser(user)
}
