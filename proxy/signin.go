package proxy

import (
	"cmp"
	"fmt"
	"time"

	"portico/backend"
	"portico/backend/directory"
	"portico/protolog"
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
	if s.hops <= 1 {
		return nil, OutcomeLoop
	}
	s.thought = 0
	s.rows.phases, s.rows.server, s.rows.upstream = protolog.Phases{}, "", ""
	q, err := s.query(&c)
	s.user = q.User
	if err != nil {
		return nil, err
	}
	if pass, ok := s.server.passes.take(s.source, c.Password); ok {
		return nil, s.prove(q, c, pass)
	}
	s.way, err = s.route(q, &c)
	s.user = s.way.User
	if err != nil {
		return nil, err
	}
	if err := s.set.Tier.Verify(s.drain, &s.way, q); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	s.user = s.way.User // the password may belong to another name
	most := cmp.Or(s.way.MaxConnections, s.set.Limits.ConnectionsPerUser)
	if s.ofHealth() {
		most = 0
	}
	if err := s.ticket.claim(s.user, most); err != nil {
		return nil, err
	}
	opening := s.server.opt.Now()
	link, err = s.openMailbox(q, c)
	if link != nil {
		s.mailboxServer = link.Server
	}
	s.logProxy(link, err, s.server.opt.Now().Sub(opening))
	if err != nil {
		s.ticket.disclaim()
		return nil, err
	}
	s.server.metrics.phases.observe(phaseTotal, s.server.opt.Now().Sub(began)-s.thought)
	return link, nil
}

// openMailbox signs in to the mailbox server.
func (s *session) openMailbox(q directory.Query, c backend.Credential) (*backend.Link, error) {
	link, err := s.set.Tier.SignIn(s.drain, s.way, backend.SignInRequest{
		Tag: s.tag, User: s.user, Credential: c, Converse: s.challenge,
		Client: backend.ClientInfo{Addr: q.Client, Local: q.Local, SessionID: cmp.Or(s.frontSession, s.id), TLS: q.TLS, Hops: s.hops - 1},
		Step:   s.step,
	})
	if err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	return link, nil
}

// step is told of a phase by the mailbox servers' side.
func (s *session) step(phase string, d time.Duration) {
	s.server.metrics.phases.step(phase, d)
	switch phases := &s.rows.phases; phase {
	case backend.PhaseDial:
		phases.Dial += d
	case backend.PhaseTLS:
		phases.TLS += d
	case backend.PhaseGreeting:
		phases.Greeting += d
	case backend.PhaseSignIn:
		phases.SignIn += d
	}
}
