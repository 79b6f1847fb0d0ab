package proxy

import (
	"cmp"
	"fmt"

	"portico/backend"
)

// signIn takes a client's credential to the mailbox server that has the user's mailbox. Only this call knows the credential.
func (s *session) signIn(c backend.Credential) (link *backend.Link, err error) {
	defer func() {
		if link == nil {
			s.tierDone()
		}
	}()
	began := s.server.opt.Now()
	s.server.metrics.phases.observe(phaseConversation, began.Sub(s.began))
	if err := s.client.flush(); err != nil {
		return nil, err
	}
	user, route, err := s.route(&c)
	s.way = route
	s.user = user
	if err != nil {
		return nil, err
	}
	if err := s.ticket.claim(user, cmp.Or(route.MaxConnections, s.set.Limits.ConnectionsPerUser)); err != nil {
		return nil, err
	}
	link, err = s.set.Tier.SignIn(s.drain, route, backend.SignInRequest{
		Tag: s.tag, User: user, Credential: c,
		Client: backend.ClientInfo{Addr: s.remote, Local: s.client.sock.LocalPort(), SessionID: s.id, TLS: s.client.tls != nil},
		Step:   s.server.metrics.phases.step,
	})
	if err != nil {
		s.ticket.disclaim()
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	s.mailboxServer = link.Server
	s.server.metrics.phases.observe(phaseTotal, s.server.opt.Now().Sub(began))
	return link, nil
}
