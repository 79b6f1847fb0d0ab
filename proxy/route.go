package proxy

import (
	"context"
	"fmt"

	"portico/backend"
	"portico/backend/directory"
)

// query returns who signs in, in canonical form. If the client names an authorization identity, it wants that user's
// mailbox. The name that it signs in by goes to the mailbox server too, so both must be valid names.
func (s *session) query(c *backend.Credential) (directory.Query, error) {
	if c.Username == "" && backend.MayBeNameless(c.Mechanism) {
		return s.tokenQuery(c)
	}
	login, err := s.attempt.tier.Canonical(c.Username, s.set.DefaultDomain)
	user := login
	if err == nil && c.Authzid != "" {
		user, err = s.attempt.tier.Canonical(c.Authzid, s.set.DefaultDomain)
	}
	if err != nil {
		return directory.Query{}, err
	}
	return s.queryOf(c, user, login), nil
}

// tokenQuery is query for a client that sends a token and no name. A claim of the token gives the name, for routing and
// limits alone. If routing needs no name, the token needs no claim; then only limits of the address apply.
func (s *session) tokenQuery(c *backend.Credential) (directory.Query, error) {
	claim := backend.TokenClaim(c.Password, s.set.OAuthUserClaim)
	switch {
	case claim != "":
		user, err := s.attempt.tier.Canonical(claim, s.set.DefaultDomain)
		return s.queryOf(c, user, user), err
	case s.attempt.tier.RoutesNameless():
		return s.queryOf(c, "", ""), nil
	}
	return directory.Query{}, fmt.Errorf("%w: %s names no user, and no claim of the token does",
		backend.ErrMessage, c.Mechanism)
}

func (s *session) queryOf(c *backend.Credential, user, login string) directory.Query {
	return directory.Query{
		User: user, Login: login, Password: c.Password, Mechanism: c.Mechanism, Certificate: c.Mechanism == external,
		Client: s.arrival.remote, Local: s.arrival.local, TLS: s.client.tls != nil, SessionID: s.id,
		Attempt: s.dialogue.failedSignIns + 1,
	}
}

// route finds the mailbox server. The directory may change the user's name: from then on the name in the route counts,
// and the credential gets it.
func (s *session) route(ctx context.Context, q directory.Query, c *backend.Credential) (backend.Route, error) {
	began := s.server.opt.Now()
	s.client.stopClock() // the client may be held for longer than a set-up may take
	route, err := s.attempt.tier.Route(ctx, q, s.client)
	s.client.startClock()
	s.rows.phases.Directory = s.server.opt.Now().Sub(began)
	s.server.metrics.phases.observe(phaseRoute, s.rows.phases.Directory)
	if len(route.Servers) > 0 {
		s.rows.server = route.Servers[0]
	}
	if len(route.Servers) > 0 && route.Refusal() == nil { // otherwise it is anybody's, for a user who has none
		s.attempt.database, s.attempt.routedTo = route.Database, route.Servers[0]
	}
	switch {
	case err != nil:
		return route, fmt.Errorf("route: %w", err)
	case route.User != q.User && !c.Rename(route.User): // the mailbox server knows the other name
		return route, fmt.Errorf("%w: %s cannot tell the server that the user is %s", OutcomeServerMechanism,
			c.Mechanism, route.User)
	}
	return route, nil
}
