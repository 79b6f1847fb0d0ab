package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"portico/backend"
	"portico/backend/directory"
	"portico/health/admin"
	"portico/health/admin/table"
	"portico/proxy"
)

// usersAPI implements admin.Users.
type usersAPI struct{ s *service }

// Named implements admin.Users.
func (c usersAPI) Named(ctx context.Context, typed string) (admin.UserName, error) {
	return c.s.clients.named(ctx, typed)
}

// Where implements admin.Users.
func (c usersAPI) Where(ctx context.Context, user string) (admin.UserLocation, error) {
	location, err := c.location(ctx, user)
	if err == nil {
		location.SignIn = c.signInState(ctx, location)
	}
	return location, err
}

// MoveUser implements admin.Users.
func (c usersAPI) MoveUser(ctx context.Context, user, database string) (admin.UserLocation, error) {
	location, err := c.location(ctx, user)
	was := location.Database
	if err != nil && database != "" {
		return location, err // whom the directory does not know, nobody can sign in as
	}
	name := location.User
	if name == "" {
		if name, err = c.s.clients.canonical(user); err != nil {
			return location, err
		}
	}
	ctx, done, err := c.s.moves.underWay.begin(ctx)
	if err != nil {
		return location, err
	}
	defer done()
	err = c.s.mailbox.active.MoveUser(ctx, name, database, c.s.sessions.endUser)
	c.s.cluster.moved(err)
	if errors.Is(err, backend.ErrUnknownName) {
		return location, admin.NoSuch("database", database, c.s.names().Databases)
	}
	if err != nil {
		return location, err
	}
	c.s.log.Warn().Str("user", name).Str("from", location.Database).Str("to", database).
		Msg("user moved by an operator")
	if location, err = c.location(ctx, user); location.Database != was {
		location.Was = was
	}
	admin.Changed(ctx, admin.Difference{What: "database of " + name, Old: was, New: location.Database})
	return location, err
}

// location returns where a user's mailbox is.
func (c usersAPI) location(ctx context.Context, user string) (admin.UserLocation, error) {
	name, err := c.s.clients.canonical(user)
	if err != nil {
		return admin.UserLocation{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	route, moved, err := c.s.current().tier().Where(ctx, directory.Query{User: name, Login: name})
	if errors.Is(err, directory.ErrNotFound) {
		return admin.UserLocation{}, admin.NoSuchUser(user, name)
	}
	if failed := (*backend.Error)(nil); errors.As(err, &failed) && failed.Kind == backend.KindDirectory {
		return admin.UserLocation{}, fmt.Errorf("cannot tell whether user %s exists and where the mailbox is: %w; %s",
			name, err, c.seen(name))
	}
	if err != nil {
		return admin.UserLocation{}, fmt.Errorf("user %s: %w", name, err)
	}
	location := admin.UserLocation{User: route.User, Database: route.Database, Server: route.Servers[0], Moved: moved,
		Standing: admin.StandingKnown}
	if !c.s.current().tier().HasDirectory() {
		location.Standing, location.NoDirectory = admin.StandingUndecided, true
	}
	for _, s := range c.s.sessions.list(ctx) {
		if s.User == route.User {
			location.Sessions++
		}
	}
	return location, nil
}

// seen says what Portico itself knows of a user.
func (c usersAPI) seen(user string) string {
	sessions, servers := 0, []string{}
	for _, s := range c.s.clients.server.Sessions() {
		if s.User == user {
			sessions, servers = sessions+1, append(servers, s.Server)
		}
	}
	failures := 0
	for _, p := range c.s.clients.server.AuthDelays() {
		if p.User == proxy.ShownName(user) {
			failures += p.Failures
		}
	}
	slices.Sort(servers)
	where := ""
	if sessions > 0 {
		where = " on " + strings.Join(slices.Compact(servers), ", ")
	}
	return fmt.Sprintf("Portico itself has on record %s%s and %s", table.Counted(sessions, "open session"), where,
		table.Counted(failures, "failed sign-in"))
}

// lookupTime is how long the directory may take to find a user.
const lookupTime = 10 * time.Second

// canonical returns the one form of a user name.
func (c *clientSide) canonical(user string) (string, error) {
	return c.config.current().tier().Canonical(user, c.server.Settings().DefaultDomain)
}

// named returns the one form of a user name that an operator has typed, and whether there is such a user.
func (c *clientSide) named(ctx context.Context, typed string) (admin.UserName, error) {
	name, err := c.canonical(typed)
	if err != nil {
		return admin.UserName{}, err
	}
	tier := c.config.current().tier()
	if !tier.HasDirectory() {
		return admin.UserName{User: name, Standing: admin.StandingUndecided, NoDirectory: true}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	route, _, err := tier.Where(ctx, directory.Query{User: name, Login: name})
	var failed *backend.Error
	switch {
	case err == nil:
		return admin.UserName{User: route.User, Standing: admin.StandingKnown}, nil
	case errors.As(err, &failed) && failed.Kind == backend.KindNoMailbox:
		return admin.UserName{User: name, Standing: admin.StandingUnknown}, nil
	case errors.As(err, &failed) && failed.Kind == backend.KindDisabled:
		return admin.UserName{User: name, Standing: admin.StandingKnown}, nil
	}
	return admin.UserName{User: name, Standing: admin.StandingUndecided}, nil
}
