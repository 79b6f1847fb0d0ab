package node

import (
	"cmp"
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
	"portico/proxy/relay"
	"portico/proxy/wire"
)

// lookupTime is how long the directory may take to find a user.
const lookupTime = 10 * time.Second

// Names implements admin.Control.
func (c control) Names() admin.Names {
	h, tier := healthControl(c), c.tier()
	names := admin.Names{
		Node: h.Node(), Nodes: h.Nodes(), Servers: tier.Servers(), Databases: tier.Databases(),
		Commands: wire.VerbNames(), Blocked: []string{},
	}
	for _, server := range names.Servers {
		if tier.ActiveManager().Blocked(server) {
			names.Blocked = append(names.Blocked, server)
		}
	}
	return names
}

// Named implements admin.Control.
func (c control) Named(ctx context.Context, typed string) (admin.UserName, error) {
	name, err := c.canonical(typed)
	if err != nil {
		return admin.UserName{}, err
	}
	if !c.tier().HasDirectory() {
		return admin.UserName{User: name, Standing: admin.StandingUndecided, NoDirectory: true}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	route, _, err := c.tier().Where(ctx, directory.Query{User: name, Login: name})
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

func (c control) canonical(user string) (string, error) {
	return c.tier().Canonical(user, c.s.server.Settings().DefaultDomain)
}

// Where implements admin.Control.
func (c control) Where(ctx context.Context, user string) (admin.Place, error) {
	place, err := c.place(ctx, user)
	if err == nil {
		place.SignIn = c.signInState(ctx, place)
	}
	return place, err
}

// place says where a user's mailbox is.
func (c control) place(ctx context.Context, user string) (admin.Place, error) {
	name, err := c.canonical(user)
	if err != nil {
		return admin.Place{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	route, placed, err := c.tier().Where(ctx, directory.Query{User: name, Login: name})
	if errors.Is(err, directory.ErrNotFound) {
		return admin.Place{}, admin.NoSuchUser(user, name)
	}
	if failed := (*backend.Error)(nil); errors.As(err, &failed) && failed.Kind == backend.KindDirectory {
		return admin.Place{}, fmt.Errorf("cannot tell whether user %s exists and where the mailbox is: %w; %s",
			name, err, c.seen(name))
	}
	if err != nil {
		return admin.Place{}, fmt.Errorf("user %s: %w", name, err)
	}
	place := admin.Place{User: route.User, Database: route.Database, Server: route.Servers[0], Moved: placed,
		Standing: admin.StandingKnown}
	if !c.tier().HasDirectory() {
		place.Standing, place.NoDirectory = admin.StandingUndecided, true
	}
	for _, s := range c.s.server.Sessions() {
		if s.User == route.User {
			place.Sessions++
		}
	}
	return place, nil
}

// seen says what Portico itself knows of a user.
func (c control) seen(user string) string {
	sessions, servers := 0, []string{}
	for _, s := range c.s.server.Sessions() {
		if s.User == user {
			sessions, servers = sessions+1, append(servers, s.Server)
		}
	}
	failures := 0
	for _, p := range c.s.server.AuthDelays() {
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

// Sessions implements admin.Control.
func (c control) Sessions(context.Context) []admin.SessionState {
	return sessionStates(c.s.server.Sessions())
}

// sessionStates are sessions in the API's words, by user.
func sessionStates(sessions []proxy.Session) []admin.SessionState {
	states := []admin.SessionState{}
	for _, s := range sessions {
		state := admin.SessionState{
			ID: s.ID, User: s.User, Remote: s.Remote.String(), Listener: s.Listener, Server: s.Server,
			Database: s.Database,
			Commands: s.Commands, Open: s.Open, Idling: s.Idling, Oldest: s.Oldest.Seconds(),
			Silent: s.Silent.Seconds(),
		}
		if s.Open > 0 {
			began := time.Now().Add(-s.Age).UTC().Truncate(time.Millisecond)
			state.Command, state.Began, state.Age = s.Verb.String(), &began, s.Age.Seconds()
			if s.Age > 0 {
				state.Waiting = min(s.Waited.Seconds()/s.Age.Seconds(), 1)
			}
		}
		states = append(states, state)
	}
	slices.SortFunc(states, func(a, b admin.SessionState) int {
		return cmp.Or(strings.Compare(a.User, b.User), strings.Compare(a.ID, b.ID))
	})
	return states
}

// Kick implements admin.Control.
func (c control) Kick(ctx context.Context, which admin.SessionFilter) ([]admin.SessionState, error) {
	fits, err := c.fits(ctx, which)
	if err != nil {
		return nil, err
	}
	ended := sessionStates(c.s.server.EndSessions(fits, relay.ReasonKicked))
	if len(ended) == 0 && which.Session != "" {
		return nil, admin.Unknown(fmt.Errorf("there is no session %q", which.Session))
	}
	c.s.log.Warn().Interface("which", which).Int("sessions", len(ended)).Msg("sessions ended by an operator")
	return ended, nil
}

// fits returns a function that says whether a session is meant.
func (c control) fits(ctx context.Context, which admin.SessionFilter) (func(proxy.Session) bool, error) {
	if which == (admin.SessionFilter{}) {
		return nil, errors.New("give a user, a session, an address or a mailbox server: no sessions were named")
	}
	if which.User != "" {
		name, err := c.Named(ctx, which.User)
		if err != nil {
			return nil, err
		}
		which.User = name.User // a user who has left the directory may have sessions
	}
	if which.Server != "" {
		if err := c.known(which.Server); err != nil {
			return nil, err
		}
	}
	fits, err := which.Test()
	if err != nil {
		return nil, err
	}
	return func(s proxy.Session) bool { return fits(s.ID, s.User, s.Server, s.Remote.Addr()) }, nil
}
