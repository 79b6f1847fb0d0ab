package proxy

import (
	"context"
	"errors"

	"portico/backend"
)

// mayGuess returns when the credential of a sign-in as a user may be judged, or an error if that would take too long.
// What is shown in SCRAM's first message nobody can judge: converse asks then.
func (s *session) mayGuess(ctx context.Context, user, mechanism string) error {
	s.attempt.judged = user
	if isSCRAM(mechanism) {
		return nil
	}
	return s.takeToken(ctx)
}

func isSCRAM(mechanism string) bool {
	return mechanism == "SCRAM-SHA-1" || mechanism == "SCRAM-SHA-256"
}

// takeToken takes the right to have one credential judged.
func (s *session) takeToken(ctx context.Context) error {
	addr, user := s.arrival.remote.Addr(), judgedName(s.attempt.judged)
	apart := contains(s.set.AuthDelay.Exempt, addr) || s.set.trusts(addr) || s.server.authDelays.knows(addr, user)
	tolls := s.server.guesses.draws(addr, user, apart, s.set.Guesses)
	if !s.server.guesses.tryTake(tolls) {
		s.server.metrics.guessesDelayed.Inc()
		s.arrival.ticket.clientSilent(s.client)
		var err error
		if gone := s.whileOpen(ctx, func() { err = s.server.guesses.take(ctx, tolls) }); gone != nil {
			if err == nil {
				s.server.guesses.giveBack(tolls)
			}
			return gone
		}
		if err != nil {
			return err
		}
		if !s.arrival.ticket.clientWaits(s.client) {
			s.server.guesses.giveBack(tolls)
			return s.client.ended()
		}
	}
	s.attempt.draws = tolls
	return nil
}

// settle ends a sign-in's guess: its tokens go back if it was right, or if nobody has judged it.
func (s *session) settle(right bool, err error) {
	if right || !wasJudged(err) {
		s.server.guesses.giveBack(s.attempt.draws)
	}
	s.attempt.draws = nil
}

// wasJudged says whether somebody may have judged the credential of a sign-in that failed. A server that has got it
// and went away, or was silent, may have.
func wasJudged(err error) bool {
	var server *backend.Error
	switch {
	case err == nil: // a panic
		return true
	case !errors.As(err, &server):
		return false
	}
	switch server.Kind {
	case backend.KindBadCredential, backend.KindNotAuthorized, backend.KindNoMailbox, backend.KindDisabled:
		return true
	case backend.KindRefused:
		return server.Code != "UNAVAILABLE"
	case backend.KindProtocol, backend.KindBye, backend.KindClosed, backend.KindTimeout, backend.KindClient,
		backend.KindCancelled:
		return server.Phase == backend.PhaseSignIn
	}
	return false
}

// converse takes a challenge of the mailbox server to the client. While the client is waited for, it may have to give
// way, and the context ends if its mailbox moves.
func (s *session) converse(ctx context.Context, challenge []byte) (response []byte, err error) {
	s.client.exchanging = true
	err = s.client.during(ctx, func() error {
		response, err = s.challenge(challenge)
		return err
	})
	s.client.exchanging = false
	switch {
	case err != nil:
		return nil, err
	case !s.arrival.ticket.clientWaits(s.client):
		return nil, s.client.ended()
	case isSCRAM(s.dialogue.mechanism) && s.attempt.draws == nil: // the client's proof is what is judged
		err = s.takeToken(ctx)
	}
	return response, err
}
