package backend

import (
	"context"
	"fmt"

	"portico/configs/store"
)

// MoveUser puts a user into another database from now on, whatever the directory says; "" takes that back. The user's
// sign-ins are held meanwhile; those under way are waited for, and then end has to end the user's sessions. Mail does
// not move by it. A failure leaves everything as it was, but for the sessions.
func (m *ActiveManager) MoveUser(ctx context.Context, user, database string, end func(user string)) error {
	if len(placedKey+user) > store.MaxKey {
		return fmt.Errorf("user %s: cannot move a user whose name has %d bytes", user, len(user))
	}
	u, quiet, err := m.holdUser(ctx, user, database)
	if err != nil {
		return err
	}
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

// holdUser holds the sign-ins of a user who is to move, when nobody else moves the user.
func (m *ActiveManager) holdUser(ctx context.Context, user, database string) (u *held, quiet chan struct{},
	err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if d := m.databases[database]; database != "" && (d == nil || !d.configured) {
			return nil, nil, fmt.Errorf("database %s: %w", database, ErrUnknownName)
		}
		if u = m.user(user); u.held == nil {
			m.endExchanges(func(x *exchange) bool { return x.user == user })
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

// Placed returns the database that a user was moved to, if it is there.
func (m *ActiveManager) Placed(user string) (database string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	database, ok = m.placed[user]
	d := m.databases[database]
	return database, ok && d != nil && d.configured
}
