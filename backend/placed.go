package backend

import (
	"context"
	"fmt"
)

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
