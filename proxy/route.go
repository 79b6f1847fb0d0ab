package proxy

import (
	"fmt"

	"portico/backend"
)

// route finds out who signs in, in canonical form, and where the mailbox is. A client that names an authorization identity
// wants that user's mailbox; the name it signs in by goes to the mailbox server too, and has to be one.
func (s *session) route(c *backend.Credential) (user string, route backend.Route, err error) {
	if user, err = backend.Canonical(c.Username, s.set.DefaultDomain); err == nil && c.Authzid != "" {
		user, err = backend.Canonical(c.Authzid, s.set.DefaultDomain)
	}
	if err != nil {
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
