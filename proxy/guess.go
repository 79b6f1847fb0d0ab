package proxy

import (
	"context"
	"errors"

	"portico/backend"
)

// mayGuess waits until the credential of a sign-in as a user may be verified, or returns an error if that would take
// too long. SCRAM's first message cannot be verified, so converse waits later.
func (s *session) mayGuess(ctx context.Context, user, mechanism string) error {
	s.attempt.credentialUser = user
	if isSCRAM(mechanism) {
		return nil
	}
	return s.takeToken(ctx)
}

func isSCRAM(mechanism string) bool {
	return mechanism == "SCRAM-SHA-1" || mechanism == "SCRAM-SHA-256"
}

// takeToken takes the tokens for the verification of one credential, and waits for them if it must.
func (s *session) takeToken(ctx context.Context) error {
	addr, user := s.arrival.remote.Addr(), credentialOwner(s.attempt.credentialUser)
	apart := contains(s.set.AuthDelay.Exempt, addr) || s.set.Trusts(addr) || s.server.authDelays.knows(addr, user)
	draws := s.server.guesses.draws(addr, user, apart, s.set.Guesses)
	if !s.server.guesses.tryTake(draws) {
		s.server.metrics.guessesDelayed.Inc()
		s.arrival.ticket.clientSilent(s.client)
		var err error
		if gone := s.whileOpen(ctx, func() { err = s.server.guesses.take(ctx, draws) }); gone != nil {
			if err == nil {
				s.server.guesses.giveBack(draws)
			}
			return gone
		}
		if err != nil {
			return err
		}
		if !s.arrival.ticket.clientWaits(s.client) {
			s.server.guesses.giveBack(draws)
			return s.client.endCause()
		}
	}
	s.attempt.draws = draws
	return nil
}

// settleGuess ends a sign-in's guess. Its tokens come back if the credential was right, or was not verified.
func (s *session) settleGuess(right bool, err error) {
	if right || !mayBeVerified(err) {
		s.server.guesses.giveBack(s.attempt.draws)
	} else {
		s.server.guesses.spend(s.attempt.draws)
	}
	s.attempt.draws = nil
}

// mayBeVerified says whether the credential of a failed sign-in may have been verified. A server that got it and then
// went away, or was silent, may have verified it.
func mayBeVerified(err error) bool {
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

// converse sends a challenge of the mailbox server to the client, and returns the response. Meanwhile the client may
// have to give way, and the context ends if its mailbox moves.
func (s *session) converse(ctx context.Context, challenge []byte) (response []byte, err error) {
	s.client.exchanging = true
	err = s.client.waitDuring(ctx, func() error {
		response, err = s.challenge(challenge)
		return err
	})
	s.client.exchanging = false
	switch {
	case err != nil:
		return nil, err
	case !s.arrival.ticket.clientWaits(s.client):
		return nil, s.client.endCause()
	case isSCRAM(s.dialogue.mechanism) && s.attempt.draws == nil: // now the client's proof can be verified
		err = s.takeToken(ctx)
	}
	return response, err
}
