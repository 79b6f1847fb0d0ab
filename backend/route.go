package backend

import (
	"cmp"
	"context"
	"errors"
	"time"

	"portico/backend/directory"
)

// Route is where a user's mailbox is.
type Route struct {
	User           string   // the canonical name, which is used from here on
	Database       string   // "" for a user who is in none
	Servers        []string // to try, in this order; at least one
	Mode           directory.Mode
	MaxConnections int // of this user at once; 0 leaves it to the setting

	refusal  *Error // why nobody may sign in as this user, whatever the credential; see standIn
	verified bool   // the proxy may sign in for the user with its own credential
	leased   bool   // the database cannot move until Tier.Done
}

// Refusal returns why the user may not sign in with any credential, or nil. It is for probes: a client must not learn
// it before its credential was verified.
func (r Route) Refusal() error {
	if r.refusal == nil {
		return nil
	}
	return r.refusal
}

// Route finds a user's database, waits while the database or the user moves, and returns the servers to try: the one
// with the active copy, and the others only if the database's copies are interchangeable. While it waits, the client
// gets lines; client may be nil. ctx bounds the time. When the sign-in is over, the caller must pass the route to Done.
// An unknown or refused user gets a route too; Verify and SignIn refuse it. Errors are *Error.
func (t *Tier) Route(ctx context.Context, q directory.Query, client WaitingClient) (Route, error) {
	bounded := withTimeout(ctx, LongestWait)
	defer bounded.over()
	by := waiting{wait: t.upstream.Wait, client: client}
	for {
		r, moved, err := t.route(ctx, bounded, q, by)
		if err != nil || t.active.movedTo(r.User) == moved {
			return r, err
		}
		t.Done(r) // the user has moved since the lookup
	}
}

// route is Route, but for moves of the user while it waits: the route is one to where the user was when the lookup
// found moved. bounded is ctx with a bound.
func (t *Tier) route(ctx, bounded context.Context, q directory.Query, by waiting) (r Route, moved string, err error) {
	r = Route{User: q.User}
	entry, moved, err := t.locator.find(ctx, q)
	if err != nil {
		e := &Error{Kind: kindOfDirectory(err), Phase: PhaseRoute, Err: err}
		if e.Kind != KindNoMailbox && e.Kind != KindDisabled {
			return r, moved, e
		}
		entry, r.refusal = t.locator.standIn(q.User), e
	}
	r.User = cmp.Or(entry.User, q.User)
	r.Mode, r.MaxConnections = t.authentication.modeOf(entry), entry.MaxConnections
	if entry.Server != "" {
		r.Servers = []string{entry.Server}
		if err := t.protection.admit(bounded, entry.Server, by); err != nil {
			return r, moved, t.waitError(ctx, err)
		}
		if _, err := t.waitForLease(bounded, "", r.User, by); err != nil {
			return r, moved, t.waitError(ctx, err)
		}
		r.leased = true
		return r, moved, nil
	}
	r.Database = entry.Database
	if err := t.leaseAfterQueue(bounded, &r, by); err != nil {
		return r, moved, t.waitError(ctx, err)
	}
	r.leased = true
	if !t.topology.interchangeable[r.Database] {
		r.Servers = r.Servers[:1]
	}
	return r, moved, nil
}

// Done ends the sign-in that Route has begun: it has failed, or its session is where a move finds it.
func (t *Tier) Done(r Route) {
	if r.leased {
		t.active.release(r.Database, r.User)
	}
}

// Alternatives returns the other servers that a sign-in to a database may try, in order, as Route returns them. There
// are none unless the copies are interchangeable.
func (t *Tier) Alternatives(database string) []string {
	if !t.topology.interchangeable[database] {
		return nil
	}
	return t.active.alternatives(database)
}

// leaseAfterQueue leases the database and finds its servers, after waiting in the active server's sign-in queue. A
// waiting sign-in holds no lease, so that the database can move meanwhile.
func (t *Tier) leaseAfterQueue(ctx context.Context, r *Route, by waiting) (err error) {
	admitted := "" // the server whose queue has admitted this sign-in
	for {
		if r.Servers, err = t.waitForLease(ctx, r.Database, r.User, by); err != nil {
			return err
		}
		server := r.Servers[0]
		if server == admitted || t.protection.queues.pass(server) {
			return nil
		}
		t.active.release(r.Database, r.User)
		in, err := t.protection.queues.wait(ctx, server, by)
		if err != nil {
			return err
		}
		if in {
			admitted = server
		}
	}
}

// waitForLease leases the database of a user. While a move holds sign-ins, the client gets a line every few seconds,
// and at once when it closes its side, which shows whether it is still there.
func (t *Tier) waitForLease(ctx context.Context, database, user string, by waiting) ([]string, error) {
	for until := time.Now().Add(holdTime); ; {
		servers, err := t.active.lease(ctx, database, user, min(time.Until(until), stillWaits), by)
		if !errors.Is(err, errStillHeld) || time.Until(until) <= 0 {
			return servers, err
		}
		if err := by.tell(); err != nil {
			return nil, err
		}
	}
}

// waitError is the error of a sign-in that has waited too long, or whose client has gone.
func (t *Tier) waitError(ctx context.Context, err error) *Error {
	var told *ClientError
	switch {
	case errors.As(err, &told):
		return &Error{Kind: KindClient, Phase: PhaseRoute, Err: told.Err}
	case ctx.Err() != nil:
		return &Error{Kind: KindCancelled, Phase: PhaseRoute, Err: err}
	}
	return &Error{Kind: KindNoActiveCopy, Phase: PhaseRoute, Err: err}
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
