package backend

import (
	"context"
	"errors"
	"fmt"

	"portico/configs/store"
)

// MoveUser puts a user into another database from now on, whatever the directory says; "" undoes that. It holds the
// user's new sign-ins, waits for those in progress, and calls end, which must end the user's sessions. It does not
// move mail. If it fails, only the sessions have changed.
func (m *ActiveManager) MoveUser(ctx context.Context, user, database string, end func(user string)) (err error) {
	if len(movedUserKey+user) > store.MaxKey {
		return fmt.Errorf("user %s: cannot move a user whose name has %d bytes", user, len(user))
	}
	u, quiet, err := m.holdUser(ctx, user, database)
	if err != nil {
		return err
	}
	defer func() { m.resumeUser(user, u, err == nil) }()
	item, err := m.stored.movedUsers.Get(ctx, user)
	if err != nil {
		return fmt.Errorf("user %s: %w", user, err)
	}
	if err := waitForSignIns(ctx, quiet); err != nil {
		return fmt.Errorf("user %s: %w", user, err)
	}
	end(user)
	if item.Value = database; database == "" {
		err = m.stored.movedUsers.Remove(ctx, item)
	} else {
		_, err = m.stored.movedUsers.Put(ctx, item)
	}
	if errors.Is(err, store.ErrConflict) { // sign-ins go to where the other writer has moved the user
		err = errors.Join(err, m.stored.movedUsers.Refresh(ctx))
	}
	if err != nil {
		return fmt.Errorf("user %s: %w", user, meanwhile(err))
	}
	return nil
}

// resumeUser ends what holdUser has begun. If a move here has failed, what another writer has done meanwhile is
// followed.
func (m *ActiveManager) resumeUser(user string, u *signinHold, movedHere bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u.moved && !movedHere {
		m.userElsewhere(user)
	}
	u.moved = false
	u.resume()
	m.forget(user, u)
}

// holdUser holds the sign-ins of a user before a move. It waits while another move of the user is in progress.
func (m *ActiveManager) holdUser(ctx context.Context, user, database string) (u *signinHold, quiet chan struct{},
	err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if d := m.databases[database]; database != "" && (d == nil || !d.configured) {
			return nil, nil, fmt.Errorf("database %s: %w", database, ErrUnknownName)
		}
		if u = m.user(user); u.held == nil {
			m.endExchanges(func(x *saslExchange) bool { return x.user == user })
			return u, u.hold(), nil
		}
		other := u.held
		m.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			err = fmt.Errorf("user %s: wait for another move: %w", user, context.Cause(ctx))
		}
		m.mu.Lock()
		if err != nil {
			return nil, nil, err
		}
	}
}

// movedTo returns the database that MoveUser put a user into, if that database is configured, and else "".
func (m *ActiveManager) movedTo(user string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	database := m.movedUsers[user]
	if d := m.databases[database]; d == nil || !d.configured {
		return ""
	}
	return database
}
