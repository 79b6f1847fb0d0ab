package proxy

import (
	"fmt"

	"portico/backend"
)

// route finds out who signs in, in canonical form, and where the mailbox is. A client that names an authorization identity
// wants that user's mailbox.
func (s *session) route(c *backend.Credential) (user string, route backend.Route, err error) {
	name := c.Username
	if c.Authzid != "" {
		name = c.Authzid
	}
	if user, err = backend.Canonical(name, s.set.DefaultDomain); err != nil {
		return "", route, err
	}
	began := s.server.opt.Now()
	s.slot.away(func() { route, err = s.set.Tier.Route(user) })
	s.server.metrics.phases.observe(phaseRoute, s.server.opt.Now().Sub(began))
	if err != nil {
		return user, route, fmt.Errorf("route: %w", err)
	}
	return user, route, nil
}
