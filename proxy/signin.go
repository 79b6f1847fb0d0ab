package proxy

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"portico/backend"
	"portico/backend/directory"
	"portico/protolog"
)

// signIn takes a client's credential to the mailbox server that has the user's mailbox. Only this call knows the
// credential.
func (s *session) signIn(c backend.Credential) (link *backend.Link, err error) {
	s.attempt.tier = s.server.takeTier()
	defer func() {
		s.settle(link != nil, err)
		if link == nil {
			s.attempt.tierDone()
			s.arrival.ticket.clientSilent(s.client)
		}
	}()
	began := s.server.opt.Now()
	s.server.metrics.phases.observe(phaseConversation, began.Sub(s.began))
	if err := s.client.flush(); err != nil {
		return nil, err
	}
	if s.arrival.hops <= 1 {
		return nil, OutcomeLoop
	}
	s.attempt.thought = 0
	s.rows.phases, s.rows.server, s.rows.upstream = protolog.Phases{}, "", ""
	q, err := s.query(&c)
	s.attempt.user = q.User
	if err != nil {
		return nil, err
	}
	if !s.arrival.ticket.clientWaits(s.client) {
		return nil, s.client.ended()
	}
	ctx, stop := s.client.attend(s.drain)
	defer stop()
	if err := s.client.sock.WhenGone(s.client.hungUp); err != nil {
		return nil, err
	}
	if pass, ok := s.server.probePasses.take(s.arrival.source, c.Password); ok {
		return nil, s.prove(ctx, q, c, pass)
	}
	if err := s.find(ctx, q, &c); err != nil {
		return nil, err
	}
	if err := s.verify(ctx, q); err != nil {
		return nil, err
	}
	opening := s.server.opt.Now()
	link, err = s.openMailbox(ctx, q, c)
	if link != nil {
		s.attempt.mailboxServer = link.Server
	}
	s.logProxy(link, err, s.server.opt.Now().Sub(opening))
	if err != nil {
		s.arrival.ticket.disclaim()
		return nil, err
	}
	s.server.metrics.phases.observe(phaseTotal, s.server.opt.Now().Sub(began)-s.attempt.thought)
	return link, nil
}

// find gets the sign-in's credential the right to be judged, and finds out where the mailbox is. No database waits for
// the first. Where the directory knows the user by another name, that name's guesses count.
func (s *session) find(ctx context.Context, q directory.Query, c *backend.Credential) (err error) {
	for judged := q.Login; ; judged = s.attempt.user {
		if err := s.mayGuess(ctx, judged, c.Mechanism); err != nil {
			return err
		}
		s.attempt.way, err = s.route(ctx, q, c)
		s.attempt.user = s.attempt.way.User
		if err != nil || q.Login != q.User || s.attempt.way.User == judged || judged != q.Login {
			return err
		}
		s.settle(true, nil) // nobody has been guessed at so far
		s.attempt.routeDone()
	}
}

// claim counts the session as one of the user's, who has proved to be that user: before that, strangers would take a
// user's places, and learn from a refusal that the user is there.
func (s *session) claim() error {
	most := cmp.Or(s.attempt.way.MaxConnections, s.set.Limits.ConnectionsPerUser)
	if s.ofHealth() {
		most = 0
	}
	err := s.arrival.ticket.claim(s.attempt.user, most)
	if err != nil { // the password was right; handOff, which notes that, is not reached
		s.server.authDelays.succeed(s.arrival.remote.Addr(), s.attempt.user)
	}
	return err
}

// verify makes sure of who it is, where that is ours to do.
func (s *session) verify(ctx context.Context, q directory.Query) error {
	if err := s.attempt.tier.Verify(ctx, &s.attempt.way, q, s.client); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	s.attempt.user = s.attempt.way.User // the password may belong to another name
	if s.attempt.way.Mode == directory.ModeMaster {
		return s.claim()
	}
	return nil
}

// When descriptors are short, a sign-in tries again after clients have given way.
const (
	dialTries = 4
	shedTime  = 100 * time.Millisecond // in which those that give way are gone
)

// openMailbox signs in to the mailbox server.
func (s *session) openMailbox(ctx context.Context, q directory.Query, c backend.Credential) (*backend.Link, error) {
	request := backend.SignInRequest{
		Tag: s.dialogue.tag, User: s.attempt.user, Credential: c, Converse: s.converse,
		Client: backend.ClientInfo{Addr: q.Client, Local: q.Local, SessionID: cmp.Or(s.arrival.frontSession, s.id),
			TLS: q.TLS, Hops: s.arrival.hops - 1},
		Step: s.step,
	}
	link, err := s.attempt.tier.SignIn(ctx, s.attempt.way, request)
	// no server has been reached
	for try := 1; err != nil && try < dialTries && s.server.shedIfShort(err, s.arrival.ticket); try++ {
		s.turn.Away(func() { s.server.opt.Sleep(ctx, shedTime) })
		link, err = s.attempt.tier.SignIn(ctx, s.attempt.way, request)
	}
	if err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	if s.attempt.way.Mode != directory.ModeMaster {
		if err := s.claim(); err != nil {
			link.LogOut(s.server.opt.Now())
			return nil, err
		}
	}
	return link, nil
}

// step is called for each phase by the mailbox servers' side.
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
