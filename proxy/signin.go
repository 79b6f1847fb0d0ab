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
		s.settleGuess(link != nil, err)
		if link == nil {
			s.attempt.releaseTier()
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
	s.attempt.clientTime = 0
	s.rows.phases, s.rows.server, s.rows.upstream = protolog.Phases{}, "", ""
	q, err := s.query(&c)
	s.attempt.user = q.User
	if err != nil {
		return nil, err
	}
	if !s.arrival.ticket.clientWaits(s.client) {
		return nil, s.client.endCause()
	}
	ctx, stop := s.client.waitContext(s.drain)
	defer stop()
	if err := s.client.sock.WhenGone(s.client.noteHangUp); err != nil {
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
	s.server.metrics.phases.observe(phaseTotal, s.server.opt.Now().Sub(began)-s.attempt.clientTime)
	return link, nil
}

// find waits until the credential may be verified, and then finds the mailbox server. If the directory has another name
// for the user, the guesses of that name count.
func (s *session) find(ctx context.Context, q directory.Query, c *backend.Credential) (err error) {
	for user := q.Login; ; user = s.attempt.user {
		if err := s.mayGuess(ctx, user, c.Mechanism); err != nil {
			return err
		}
		s.attempt.route, err = s.route(ctx, q, c)
		s.attempt.user = s.attempt.route.User
		if err != nil || q.Login != q.User || s.attempt.route.User == user || user != q.Login {
			return err
		}
		s.settleGuess(true, nil) // no credential was verified so far
		s.attempt.releaseRoute()
	}
}

// claim counts the session for its user, whose credential has proved right. If it counted earlier, strangers could use
// up a user's places, and a refusal would tell them that the user exists.
func (s *session) claim() error {
	most := cmp.Or(s.attempt.route.MaxConnections, s.set.Limits.ConnectionsPerUser)
	if s.isHealthUser() {
		most = 0
	}
	err := s.arrival.ticket.claim(s.attempt.user, most)
	if err != nil { // the password was right; handOff, which notes that, is not reached
		s.server.authDelays.succeed(s.arrival.remote.Addr(), s.attempt.user)
	}
	return err
}

// verify checks the credential if Portico has to do that itself.
func (s *session) verify(ctx context.Context, q directory.Query) error {
	if err := s.attempt.tier.Verify(ctx, &s.attempt.route, q, s.client); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	s.attempt.user = s.attempt.route.User // the password may belong to another name
	if s.attempt.route.Mode == directory.ModeMaster {
		return s.claim()
	}
	return nil
}

// When descriptors are short, a sign-in tries again after clients have given way.
const (
	dialTries = 4
	shedTime  = 100 * time.Millisecond // after which the clients that give way are gone
)

// openMailbox signs in to the mailbox server.
func (s *session) openMailbox(ctx context.Context, q directory.Query, c backend.Credential) (*backend.Link, error) {
	request := backend.SignInRequest{
		Tag: s.dialogue.tag, User: s.attempt.user, Credential: c, AnswerChallenge: s.converse,
		Client: backend.ClientInfo{Addr: q.Client, Local: q.Local, SessionID: cmp.Or(s.arrival.frontSession, s.id),
			TLS: q.TLS, Hops: s.arrival.hops - 1},
		Step: s.step,
	}
	link, err := s.attempt.tier.SignIn(ctx, s.attempt.route, request)
	// no server has been reached
	for try := 1; err != nil && try < dialTries && s.server.shedIfShort(err, s.arrival.ticket); try++ {
		s.turn.Away(func() { s.server.opt.Sleep(ctx, shedTime) })
		link, err = s.attempt.tier.SignIn(ctx, s.attempt.route, request)
	}
	if err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	if s.attempt.route.Mode != directory.ModeMaster {
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
