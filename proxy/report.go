package proxy

import (
	"cmp"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"portico/proxy/wire"
)

// report does what follows from an outcome, in this order: it logs the outcome, counts it, delays the answer to a
// refused sign-in, and answers the client. The outcome that ends the session is not counted here but by conclude. The
// table of outcomes has the words and the charge. report returns an error if the client went away, or had to give way,
// before the answer was due.
func (s *session) report(err error) (Outcome, error) {
	outcome := outcomeOf(err)
	s.logOutcome(outcome, err)
	s.countSignIn(outcome)
	s.dialogue.mechanism = ""
	s.countRefusal(outcome)
	code := outcome.row().code
	gone := s.delayAnswer(outcome)
	if gone == nil {
		code = s.answer(outcome, err)
	}
	s.logCommand(resultOfReply[outcome.row().reply], code, outcome)
	return outcome, gone
}

// logOutcome writes the log line of an outcome. Programs read these lines: a sign-in's line has always the same fields
// in the same order.
func (s *session) logOutcome(o Outcome, err error) {
	event, limited := s.logEvent(o)
	event = event.Str("session", s.id).Str("listener", s.arrival.listener.Name).Stringer("remote", s.arrival.remote)
	switch {
	case s.dialogue.mechanism != "":
		event = event.Str("user", wire.Visible(s.attempt.user)).Str("mechanism", s.dialogue.mechanism).
			Str("tls", s.client.tlsVersion()).
			Stringer("result", o).Str("server", s.attempt.mailboxServer)
	case s.attempt.user != "":
		event = event.Str("user", wire.Visible(s.attempt.user))
	}
	if s.arrival.frontSession != "" {
		event = event.Str("front_session", s.arrival.frontSession)
	}
	if err != error(o) {
		event = event.Err(err)
		if stack := stackOf(err); stack != nil {
			event = event.Bytes("stack", stack)
		}
	}
	if !limited {
		event = s.limitLines(event, o)
	}
	event.Msg(o.row().log)
}

// logEvent begins the log line of an outcome. If limited is true, no other limit applies to the line. A sign-in's line
// has level info at least. With QuietSignIns it is written only if the fault may be ours.
func (s *session) logEvent(o Outcome) (event *zerolog.Event, limited bool) {
	if s.dialogue.mechanism == "" {
		return s.server.warned.event(s.server.opt.Log, o, s.server.opt.Now())
	}
	level := o.row().level
	event = s.server.opt.Log.WithLevel(max(level, zerolog.InfoLevel))
	if s.set.QuietSignIns && level < zerolog.WarnLevel {
		event = event.Discard()
	}
	return event, false
}

// limitLines discards the line of an outcome if the client's address has had too many lines like it. Otherwise it adds
// how many lines were left out before. The limit does not apply to trusted and exempt networks, since many users may
// stand behind one of their addresses, nor to a user who has signed in.
func (s *session) limitLines(event *zerolog.Event, o Outcome) *zerolog.Event {
	addr := s.arrival.remote.Addr()
	if !event.Enabled() || o == OutcomeSignedIn || s.set.Trusts(addr) || contains(s.set.AuthDelay.Exempt, addr) {
		return event
	}
	leftOut, ok := s.server.lines.take(addr, o, s.dialogue.mechanism != "", s.server.opt.Now())
	if !ok {
		event = event.Discard()
	}
	if leftOut > 0 {
		event = event.Int("left_out", leftOut)
	}
	return event
}

// countRefusal counts an outcome after which the session continues. conclude counts the one that ends it.
func (s *session) countRefusal(o Outcome) {
	if !o.row().ends {
		s.server.metrics.refusals[o].Inc()
	}
}

// delayAnswer waits until the answer to a refused sign-in is due (authentication delay). It returns an error if the
// client went away, or had to give way, before that.
func (s *session) delayAnswer(o Outcome) error {
	if o.row().charge != chargeFailed || s.isHealthUser() {
		return nil
	}
	delay := s.set.AuthDelay.First
	if o != OutcomeTooManyGuesses { // nobody checked that credential
		delay = s.server.authDelays.fail(s.arrival.remote.Addr(), s.attempt.user, s.set.AuthDelay)
	}
	wait := s.remainingDelay(delay)
	s.server.metrics.waited.Add(wait.Seconds())
	return s.pause(wait)
}

// remainingDelay returns how long the answer to a refused sign-in still has to wait. The delay counts from the client's
// last byte. If the answer took longer than the delay, it waits for the next whole second, so that its time does not
// reveal whether a user exists.
func (s *session) remainingDelay(delay time.Duration) time.Duration {
	if delay <= 0 {
		return 0
	}
	took := s.server.opt.Now().Sub(s.dialogue.readAt)
	return max(delay, (took+time.Second).Truncate(time.Second)) - took
}

// pause waits for d, or until the server drains. It returns an error if the client goes away meanwhile, or has to give
// way: then no answer is due.
func (s *session) pause(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	ctx, stop := s.client.waitContext(s.drain)
	defer stop()
	err := s.whileOpen(ctx, func() { s.server.opt.Sleep(ctx, d) })
	if s.drain.Err() != nil {
		return nil
	}
	return err
}

// answer answers the client, and returns the response code that it has sent. The mailbox server's own refusal replaces
// the words of the table.
func (s *session) answer(o Outcome, err error) (code string) {
	row := o.row()
	code, text := row.code, row.text
	if o == OutcomeServerRefused {
		if serverCode, serverText := serverWords(err); serverCode != "" {
			code, text = serverCode, cmp.Or(serverText, textRefused)
		}
	}
	s.client.answer(row.reply, s.dialogue.tag, code, text)
	return code
}

// countFailure counts a bad command or a failed sign-in. It returns an error if the client has had too many.
func (s *session) countFailure(o Outcome) error {
	switch o.row().charge {
	case chargeBad:
		if s.dialogue.badCommands++; s.dialogue.badCommands >= s.set.Limits.BadCommands {
			return fmt.Errorf("%w; the last one: %w", OutcomeTooManyBad, o)
		}
	case chargeFailed:
		if s.dialogue.failedSignIns++; s.dialogue.failedSignIns >= s.set.Limits.FailedSignIns {
			return fmt.Errorf("%w; the last one: %w", OutcomeTooManyFailed, o)
		}
	}
	return nil
}
