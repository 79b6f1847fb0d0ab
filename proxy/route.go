package proxy

import (
	"fmt"

	"portico/backend"
	"portico/backend/directory"
)

// route finds out who signs in, in canonical form, and where the mailbox is. A client that names an authorization identity
// wants that user's mailbox; the name it signs in by goes to the mailbox server too, and has to be one. The user returned is
// the one to go by from here on, which the directory may have changed; with an error the one that was asked for.
func (s *session) route(c *backend.Credential) (user string, route backend.Route, err error) {
	login, err := backend.Canonical(c.Username, s.set.DefaultDomain)
	if user = login; err == nil && c.Authzid != "" {
		user, err = backend.Canonical(c.Authzid, s.set.DefaultDomain)
	}
	if err != nil {
		return "", route, err
	}
	q := directory.Query{
		User: user, Login: login, Password: c.Password, Mechanism: c.Mechanism,
		Client: s.remote, Local: s.client.sock.LocalPort(), TLS: s.client.tls != nil, SessionID: s.id, Attempt: s.failed + 1,
		Away: s.turn.Away,
	}
	began := s.server.opt.Now()
	route, err = s.set.Tier.Route(s.drain, q)
	s.server.metrics.phases.observe(phaseRoute, s.server.opt.Now().Sub(began))
	if err != nil {
		return user, route, fmt.Errorf("route: %w", err)
	}
	if route.User != user { // the mailbox server knows the other name
		if c.Authzid != "" {
			c.Authzid = route.User
		} else {
			c.Username = route.User
		}
	}
	return route.User, route, nil
}
