package node

import (
	"context"
	"errors"
	"fmt"

	"portico/health/admin"
	"portico/proxy"
)

// sessionsAPI implements admin.Sessions.
type sessionsAPI struct{ s *service }

// Names implements admin.Sessions.
func (c sessionsAPI) Names() admin.Names { return c.s.names() }

// Sessions implements admin.Sessions.
func (c sessionsAPI) Sessions(ctx context.Context) []proxy.Session { return c.s.sessions.list(ctx) }

// Slow implements admin.Sessions.
func (c sessionsAPI) Slow(ctx context.Context) []proxy.SlowCommand { return c.s.sessions.slow(ctx) }

// Kick implements admin.Sessions.
func (c sessionsAPI) Kick(ctx context.Context, which admin.SessionFilter) ([]proxy.Session, error) {
	fits, err := c.fits(ctx, which)
	if err != nil {
		return nil, err
	}
	ended, err := c.s.sessions.kick(ctx, fits)
	if err != nil {
		c.s.log.Warn().Err(err).Interface("which", which).Msg("sessions ended by an operator")
		return nil, err
	}
	if len(ended) == 0 && which.Session != "" {
		return nil, admin.Unknown(fmt.Errorf("there is no session %q", which.Session))
	}
	c.s.log.Warn().Interface("which", which).Int("sessions", len(ended)).Msg("sessions ended by an operator")
	return ended, nil
}

// fits returns a function that says whether a session is meant.
func (c sessionsAPI) fits(ctx context.Context, which admin.SessionFilter) (func(proxy.Session) bool, error) {
	if which == (admin.SessionFilter{}) {
		return nil, errors.New("give a user, a session, an address or a mailbox server: no sessions were named")
	}
	if which.User != "" {
		name, err := c.s.clients.named(ctx, which.User)
		if err != nil {
			return nil, err
		}
		which.User = name.User // a user who has left the directory may have sessions
	}
	if which.Server != "" {
		if err := c.s.current().known(which.Server); err != nil {
			return nil, err
		}
	}
	fits, err := which.Test()
	if err != nil {
		return nil, err
	}
	return func(s proxy.Session) bool { return fits(s.ID, s.User, s.Server, s.Remote.Addr()) }, nil
}
