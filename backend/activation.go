package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"portico/backend/move"
	"portico/cluster"
)

// MoveOptions say how a database moves.
type MoveOptions struct {
	// End ends the database's sessions and returns when none is left.
	End func(database string)
	// Unreadable says why the mail of the copy that a database leaves cannot be read, if that is so: then the copy is
	// Failed from then on. Nil says nothing.
	Unreadable func(database, server string) (f Failure, unreadable bool)
	// Failed is called when a copy has become Failed by the move, and that is stored. It may be nil.
	Failed func(f Failure)
	// ServerFails returns why a database must not move to a server although the server answers, or nil. Moves to a
	// named server do not call it. It may be nil.
	ServerFails func(server string) error
	// Lifted reports whether Standby ignores the block that `by` has set on a server. If nil, Standby ignores none.
	// Move does not use it: lift the blocks first.
	Lifted func(server, by string) bool
	// Patience is how long a member of the site may be absent before the move fences it, or is undone without a Fence.
	// With 0, a move that would have to wait for one is refused before it begins.
	Patience time.Duration
	// Fence makes sure that the process of a member which is absent for longer than Patience serves nobody, and then
	// takes that process out of the site; see cluster.Expel. If it is nil or fails, the move is undone.
	Fence func(ctx context.Context, node cluster.Node) error
	// Force moves to a server that does not answer, and to a copy that is Failed, too.
	Force bool

	from string // where it has to be active still; "" is anywhere
}

// Move makes a server's copy of a database the active one. It holds new sign-ins to the database, waits for those in
// progress, and then ends the database's sessions. If it fails before a hook has begun, only sessions have ended. If
// it fails later, the database is suspended: it admits no users until it is moved again. A second move of the same
// database waits for the first. If ctx ends, the move stops at once.
func (m *ActiveManager) Move(ctx context.Context, name, server string, o MoveOptions) (err error) {
	m.mu.Lock()
	d := m.databases[name]
	m.mu.Unlock()
	if d == nil {
		return fmt.Errorf("database %s: %w", name, ErrUnknownName)
	}
	of, err := m.records.Begin(ctx, name)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("wait for another move of the database: %w", err)
		}
		return fmt.Errorf("database %s: %w", name, err)
	}
	defer of.End()
	defer m.settle(ctx, d, of)
	hook, quiet, err := m.beginMove(name, d, server, o)
	if quiet == nil {
		return err
	}
	if err := m.empty(ctx, name, server, of, quiet, o); err != nil {
		return fmt.Errorf("database %s: %w", name, err)
	}
	if err := m.leave(ctx, name, d.active, server, o); err != nil {
		return fmt.Errorf("database %s: %w", name, err)
	}
	if err := m.activate(ctx, name, d, of, hook, server); err != nil {
		return fmt.Errorf("database %s: %w", name, err)
	}
	return nil
}

// empty returns when nobody is in to what moves any more, here and at other members.
func (m *ActiveManager) empty(ctx context.Context, name, to string, of *move.Move, quiet <-chan struct{},
	o MoveOptions) error {
	if absent := m.members.Absent(); len(absent) > 0 && o.Patience == 0 {
		return fmt.Errorf("%w: %w", ErrAbsent, &move.AbsentError{Nodes: absent})
	}
	if err := of.Close(ctx, to); err != nil {
		return err
	}
	if err := waitForSignIns(ctx, quiet); err != nil {
		return err
	}
	o.End(name)
	return m.agree(ctx, of, o)
}

// agree waits for the other members, and fences those that are absent for too long.
func (m *ActiveManager) agree(ctx context.Context, of *move.Move, o MoveOptions) error {
	for {
		err := of.Agree(ctx, o.Patience)
		var absent *move.AbsentError
		if !errors.As(err, &absent) {
			return err
		}
		if o.Fence == nil {
			return fmt.Errorf("%w: %w", ErrAbsent, err)
		}
		for _, node := range absent.Nodes {
			if err := o.Fence(ctx, node.Node); err != nil {
				return fmt.Errorf("%w: %w: fence it: %w", ErrAbsent, absent, err)
			}
		}
	}
}

// settle lets users in after a move. If another writer has changed that, they stay held until it is followed.
func (m *ActiveManager) settle(ctx context.Context, d *database, of *move.Move) {
	ours := of.Settle(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.to = ""; ours {
		d.resume()
	}
}

// leave marks the old copy as Failed, if its mail cannot be read.
func (m *ActiveManager) leave(ctx context.Context, name, from, to string, o MoveOptions) error {
	if o.Unreadable == nil || from == to || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f, unreadable := o.Unreadable(name, from)
	if !unreadable {
		return nil
	}
	newly, err := m.Fail(ctx, f)
	if newly && o.Failed != nil {
		o.Failed(f)
	}
	return err
}

// moves says whether a move would change anything, as far as that can be known before it begins.
func (m *ActiveManager) moves(name, server string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.databases[name]
	return d != nil && d.configured && slices.Contains(d.copies, server) && len(m.blocked[server]) == 0 &&
		(d.active != server || len(d.suspended) > 0)
}

// idle waits until no move of a database is in progress, and returns its copies.
func (m *ActiveManager) idle(ctx context.Context, name string) ([]CopyState, error) {
	if err := m.records.Idle(ctx, name); err != nil {
		return nil, fmt.Errorf("wait for another move of the database: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.copiesOf(name), nil
}

// activate changes the active copy, with the database's hook if it has one. Only the holder of the database's turn
// changes d's active copy and the copies that it is suspended between, so the caller can read them without the mutex.
func (m *ActiveManager) activate(ctx context.Context, name string, d *database, of *move.Move, hook Hook,
	server string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if m.Blocked(server) { // since the move began
		return fmt.Errorf("mailbox server %s: %w", server, ErrBlocked)
	}
	if hook != nil {
		if err := m.runHook(ctx, name, d, of, hook, server); err != nil {
			return err
		}
	}
	if err := of.Open(context.WithoutCancel(ctx), server); err != nil { // the storage has switched
		return err
	}
	m.take(d, of.Record())
	return nil
}

// runHook switches the storage of a database. From the first call of the hook on, the database is suspended between
// the servers where it may be active.
func (m *ActiveManager) runHook(ctx context.Context, name string, d *database, of *move.Move, hook Hook,
	server string) error {
	between := d.suspended
	for _, at := range []string{d.active, server} {
		if !slices.Contains(between, at) {
			between = append(between[:len(between):len(between)], at)
		}
	}
	if err := of.Suspend(ctx, between); err != nil {
		return err
	}
	m.take(d, of.Record())
	for _, at := range between {
		if at == server {
			continue
		}
		if err := hook.Deactivate(ctx, name, at, server); err != nil {
			return fmt.Errorf("%w: deactivate the copy on %s: %w", ErrSuspended, at, err)
		}
	}
	if err := hook.Activate(ctx, name, d.active, server); err != nil {
		return fmt.Errorf("%w: activate the copy on %s: %w", ErrSuspended, server, err)
	}
	return nil
}

// take makes a database do what its record says.
func (m *ActiveManager) take(d *database, r move.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d.take(r)
}

// beginMove checks a move and holds the database's sign-ins. quiet is nil if there is nothing to do.
func (m *ActiveManager) beginMove(name string, d *database, server string, o MoveOptions) (hook Hook,
	quiet chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !d.configured:
		return nil, nil, fmt.Errorf("database %s: %w", name, ErrUnknownName)
	case !slices.Contains(d.copies, server):
		return nil, nil, fmt.Errorf("database %s, mailbox server %s: %w", name, server, ErrNoCopy)
	case o.from != "" && o.from != d.active:
		return nil, nil, fmt.Errorf("database %s, mailbox server %s: %w", name, d.active, ErrElsewhere)
	case d.active == server && len(d.suspended) == 0:
		return nil, nil, nil
	case len(m.blocked[server]) > 0:
		return nil, nil, fmt.Errorf("database %s, mailbox server %s: %w", name, server, ErrBlocked)
	}
	d.to = server
	m.endExchanges(func(x *saslExchange) bool { return x.database == name })
	return d.hook, d.signinHold.hold(), nil
}
