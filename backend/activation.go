package backend

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

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
	case len(m.blocked[server]) > 0:
		return nil, nil, fmt.Errorf("database %s, mailbox server %s: %w", name, server, ErrBlocked)
	}
	return d, d.held.hold(), nil
}
