package backend

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// FollowOptions is what a manager does with users when another writer of the store moves their databases or them.
type FollowOptions struct {
	End     func(database string) // ends a database's sessions, and returns when none is left
	EndUser func(user string)     // the same of a user
	Queues  *SigninQueues         // of sign-ins that come back
	// Moved is told that another writer has moved a database. suspended says that the move is not over, or has failed,
	// so that nobody is let in. From and to are the same if the database has not moved before that.
	Moved     func(database, from, to string, suspended bool)
	UserMoved func(user, database string) // the same of a user; database is "" if the directory decides again
	Failed    func(error)                 // told what takes too long
}

// Run follows the store until ctx ends: what another writer changes takes effect as a change by this process does.
// Copies that another writer has moved: new sign-ins go to the new server at once, after the database's sessions here
// have ended. Hooks run only where the move was ordered.
func (m *ActiveManager) Run(ctx context.Context, o FollowOptions) {
	var group sync.WaitGroup
	defer group.Wait()
	for _, run := range []func(context.Context){m.stored.active.Run, m.stored.moving.Run, m.stored.blocked.Run,
		m.stored.policy.Run, m.stored.movedUsers.Run, m.stored.failed.Run} {
		group.Go(func() { run(ctx) })
	}
	for {
		databases, users := m.toFollow()
		for _, name := range databases {
			group.Go(func() { m.followMove(ctx, name, o) })
		}
		for _, name := range users {
			group.Go(func() { m.followUser(ctx, name, o) })
		}
		select {
		case <-ctx.Done():
			return
		case <-m.behind:
		}
	}
}

// wakeFollower has Run compare the databases with the store.
func (m *ActiveManager) wakeFollower() {
	select {
	case m.behind <- struct{}{}:
	default:
	}
}

// toFollow returns the databases and users that another writer has moved, and nobody follows yet.
func (m *ActiveManager) toFollow() (databases, users []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, d := range m.databases {
		if d.to == "" && !d.followed && (m.movedElsewhere(name, d) || d.signinHold.held != nil) {
			d.followed = true
			databases = append(databases, name)
		}
	}
	users = slices.Collect(maps.Keys(m.usersElsewhere))
	clear(m.usersElsewhere)
	return databases, users
}

// movedElsewhere says whether the store has another active copy of a database, or other servers that it is between.
// An active copy that is not in the store any more stays where it is: the next Configure writes it down. The caller
// holds mu.
func (m *ActiveManager) movedElsewhere(name string, d *database) bool {
	active := m.stored.active.Item(name)
	return d.configured && active.Revision != 0 &&
		(active.Value != d.active || !slices.Equal(m.stored.moving.Item(name).Value, d.suspended))
}

// followMove puts in force what another writer has stored of a database. Sign-ins wait while its sessions end.
func (m *ActiveManager) followMove(ctx context.Context, name string, o FollowOptions) {
	d, err := m.takeTurn(ctx, name)
	if err != nil {
		return // ctx has ended
	}
	defer func() {
		<-d.turn
		m.wakeFollower() // for what has changed meanwhile
	}()
	m.mu.Lock()
	d.followed = false
	if !m.movedElsewhere(name, d) {
		if d.signinHold.held != nil { // by a move made here that another writer's was before
			d.resume()
		}
		m.mu.Unlock()
		return
	}
	from, to := d.active, m.stored.active.Item(name).Value
	d.active, d.suspended = to, m.stored.moving.Item(name).Value
	suspended := len(d.suspended) > 0
	m.endExchanges(func(x *saslExchange) bool { return x.database == name })
	quiet := d.signinHold.hold()
	m.mu.Unlock()
	o.Moved(name, from, to, suspended)
	o.Queues.slow(to)
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		d.resume()
	}()
	if endAll(ctx, quiet, func() { o.End(name) }, func(err error) {
		o.Failed(fmt.Errorf("database %s, moved by another writer of the store: %w", name, err))
	}) && from != to {
		o.Queues.sendAway(from)
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

// takeMovedUsers takes in which users were moved. It compares them without the mutex, since sign-ins need that: the
// mirror calls it once at a time, and nothing else changes movedUsers. What happens to a user during a move here is
// followed if that move fails; see resumeUser.
func (m *ActiveManager) takeMovedUsers() {
	now := values(m.stored.movedUsers)
	m.mu.Lock()
	before := m.movedUsers
	m.mu.Unlock()
	var moved []string
	for user, database := range now {
		if before[user] != database {
			moved = append(moved, user)
		}
	}
	for user := range before {
		if _, still := now[user]; !still {
			moved = append(moved, user)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.movedUsers = now
	if before == nil { // at the start
		return
	}
	for _, user := range moved {
		if u := m.users[user]; u != nil && u.held != nil {
			u.moved = true
		} else {
			m.userElsewhere(user)
		}
	}
}

// userElsewhere has Run follow a user whom another writer has moved. The caller holds mu.
func (m *ActiveManager) userElsewhere(user string) {
	m.usersElsewhere[user] = true
	m.wakeFollower()
}

// followUser ends the sessions of a user whom another writer has moved.
func (m *ActiveManager) followUser(ctx context.Context, user string, o FollowOptions) {
	u, quiet, err := m.holdUser(ctx, user, "")
	if err != nil {
		return // ctx has ended
	}
	defer func() { m.resumeUser(user, u, false) }()
	m.mu.Lock()
	u.moved = false // that is what follows
	database := m.movedUsers[user]
	m.mu.Unlock()
	o.UserMoved(user, database)
	endAll(ctx, quiet, func() { o.EndUser(user) }, func(err error) {
		o.Failed(fmt.Errorf("user %s, moved by another writer of the store: %w", user, err))
	})
}
