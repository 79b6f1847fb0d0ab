package relay

import "portico/proxy/wire"

// What happens around a literal that a client announces: whether the relay asks the server for it, waits, passes it
// on, or drops it because the server has refused it (literalRefused).

// wait is why the relay does not read the client.
type wait uint8

const (
	waitNone    wait = iota
	waitPlus         // the server's "+", or its answer, after which the client sends no literal
	waitAnyPlus      // the same for a literal that the client sends in any case, as it has not asked
	// nothing more: the server could not read the line. What the client sends next is a command, but for a "+" before
	// it
	waitOver
)

// nonSyncLiteral is for a non-synchronising literal whose marker ends at p[at]. If the server does not accept one of
// its size, or may not read this one as a literal, the marker loses its "+", and the client's next bytes wait for the
// server's. It returns from where p is still to be passed on.
func (s *session) nonSyncLiteral(p []byte, from, at int, now int64) int {
	switch {
	case !s.extensions.TakesNonSync(s.commands.LiteralSize()):
		s.guard.asked(s.current, s.extensions)
	case !s.guards() || s.guard.free(s.certainty(), s.commands.InLiteral()):
		return from
	}
	plus := at - len("+}\n")
	if p[plus] != '+' {
		plus--
	}
	s.pass(p[from:plus])
	s.pass(p[plus+1 : at])
	s.hold(waitAnyPlus, now)
	return at
}

// certainty says how servers read the non-synchronising literal that the client has just announced. A server that has
// already answered the command says nothing more about it.
func (s *session) certainty() wire.Certainty {
	switch c := s.current; {
	case c == nil && !s.stray:
		return wire.Unanswered
	case c == nil, c.grammar == nil:
		return wire.Doubtful
	default:
		return c.grammar.Literal(s.extensions)
	}
}

// hold stops reading the client until the server's "+" or the answer to the current command. If the command was
// already answered, the server has refused the literal. A line without a valid head is no command, but the relay asks
// the server for its literals too.
func (s *session) hold(w wait, now int64) {
	switch {
	case s.current != nil:
		s.tracker.startClock(s.current, now)
	case !s.stray:
		s.literalRefused(w)
		return
	}
	s.waits = w
	if s.early {
		s.proceed(now)
	}
}

// literalRefused is for a literal that the server has refused, with all that follows it in the command. A client that
// waited sends a command next. What a client sends without waiting is dropped, up to the end of the command.
func (s *session) literalRefused(w wait) {
	s.waits = waitNone
	if w == waitAnyPlus {
		s.handling = dropped
		return
	}
	s.commands.CancelLiteral()
	s.stray = false
}

// release ends the client's wait, or its IDLE, because the command was answered: what the client sends next is another
// command. If a command is answered before its last byte, the rest of it is still passed on.
func (s *session) release(c *command) {
	switch {
	case c != s.current:
		return
	case s.waits != waitNone:
		s.literalRefused(s.waits)
	case s.commands.AtLineStart():
		s.commands.CancelLiteral()
	}
	s.current = nil
}

// proceed reads the client again after the server's "+". If the "+" comes while a line is still being sent, it counts
// for the end of the line: Dovecot sends "+" at the CR of IDLE. A "+" that no command waits for has no effect.
func (s *session) proceed(now int64) {
	c := s.current
	if s.waits == waitNone {
		s.guard.unasked()
		s.early = c != nil
		return
	}
	s.waits, s.early = waitNone, false
	if c != nil {
		s.tracker.stopClock(c, now)
	}
	switch {
	case s.commands.AtLineStart():
		s.commands.ExpectLine()
		if c != nil {
			s.tracker.idle(c, c.verb == wire.VerbIdle)
		}
	case s.guards():
		s.guard.accepted(c, &s.tracker, s.commands.InLiteral())
	}
}
