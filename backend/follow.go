package backend

import (
	"context"
	"fmt"
	"sync"

	"portico/backend/move"
)

// FollowOptions is what a manager does with users when another writer of the store moves their databases or them.
type FollowOptions struct {
	End      func(database string) // ends a database's sessions, and returns when none is left
	EndUser  func(user string)     // the same of a user
	EndUsers EndUsers              // the same of those whom the change of a canary concerns
	Queues   *SigninQueues         // of sign-ins that come back
	// Moved is told that another writer has moved a database. suspended says that the move has failed, so that nobody
	// is let in. From and to are the same if the database has not moved before that.
	Moved         func(database, from, to string, suspended bool)
	UserMoved     func(user, database string) // the same of a user; database is "" if the directory decides again
	CanaryChanged func(now Canary)            // the same of a canary
	Failed        func(error)                 // told what takes too long
}

// Run follows the store until ctx ends: what another writer changes takes effect as a change by this process does.
// Copies that another writer has moved: new sign-ins go to the new server at once, after the database's sessions here
// have ended. Hooks run only where the move was ordered.
func (m *ActiveManager) Run(ctx context.Context, o FollowOptions) {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { m.records.Run(ctx, databaseMember{m, o}) })
	group.Go(func() { m.movedUsers.Run(ctx, userMember{m, o}) })
	group.Go(func() { m.canaryMoves.Run(ctx, canaryMember{m, o}) })
	for _, run := range []func(context.Context){m.stored.blocked.Run, m.stored.policy.Run, m.stored.failed.Run} {
		group.Go(func() { run(ctx) })
	}
}

// databaseMember does here what another writer has stored of a database. Sign-ins wait while its sessions end.
type databaseMember struct {
	m *ActiveManager
	o FollowOptions
}

var _ move.Member = databaseMember{}

// Hold implements move.Member.
func (f databaseMember) Hold(name string, because move.Record) {
	f.m.mu.Lock()
	d := f.m.databases[name]
	d.hold()
	f.m.endExchanges(func(x *saslExchange) bool { return x.database == name })
	f.m.mu.Unlock()
	if !because.Moving() {
		f.tell(name, d, because)
	}
}

// tell says that another writer has moved a database, once for each move.
func (f databaseMember) tell(name string, d *database, r move.Record) {
	f.m.mu.Lock()
	told, is := d.told, d.record()
	d.told = true
	f.m.mu.Unlock()
	if !told && !r.Equal(is) {
		f.o.Moved(name, is.At, r.At, r.Phase == move.Suspended)
		f.o.Queues.slow(r.At)
	}
}

// End implements move.Member.
func (f databaseMember) End(ctx context.Context, name string) error {
	f.m.mu.Lock()
	quiet := make(chan struct{})
	if d := f.m.databases[name]; d != nil {
		quiet = d.quiet()
	} else {
		close(quiet)
	}
	f.m.mu.Unlock()
	endAll(ctx, quiet, func() { f.o.End(name) }, func(err error) {
		f.o.Failed(fmt.Errorf("database %s, moved by another writer of the store: %w", name, err))
	})
	return ctx.Err()
}

// Admit implements move.Member.
func (f databaseMember) Admit(name string, by move.Record) {
	f.m.mu.Lock()
	d := f.m.databases[name]
	from := d.active
	f.m.mu.Unlock()
	f.tell(name, d, by)
	f.m.mu.Lock()
	d.take(by)
	d.resume()
	f.m.mu.Unlock()
	if from != by.At {
		f.o.Queues.sendAway(from)
	}
}

// endAll ends sessions until no sign-in is in progress that may become another one. A sign-in to where users are no
// longer ends by itself in time; late is called after each minute that it takes. It returns false if ctx ends first.
func endAll(ctx context.Context, quiet <-chan struct{}, end func(), late func(error)) bool {
	for {
		err := waitForSignIns(ctx, quiet)
		if ctx.Err() != nil {
			return false
		}
		end()
		if err == nil {
			return true
		}
		late(err)
	}
}
