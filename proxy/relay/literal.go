package relay

import "portico/proxy/wire"

// What the relay does with a literal that a client announces: it asks the server for it, waits, forwards it, or drops
// it because the server has refused it (dropRefusedLiteral).

// wait is why the relay does not read the client.
type wait uint8

const (
	waitNone        wait = iota
	waitPlus             // the server's "+", or its answer, after which the client sends no literal
	waitPlusNonSync      // the same for a non-synchronising literal: the client sends it without asking
	// nothing: the server could not read the line. Unless a "+" comes first, the client's next line is a command.
	waitCancelled
)

// handleNonSync acts on a non-synchronising literal whose marker ends at p[at]. If the server does not accept one of
// this size, or may not read it as a literal, the marker loses its "+", and the client's next bytes wait for the
// server's "+". It returns the new from.
func (s *session) handleNonSync(p []byte, from, at int, now int64) int {
	switch {
	case !s.extensions.TakesNonSync(s.commands.LiteralSize()):
		s.guard.announceLiteral(s.current, s.extensions)
	case !s.mustGuard() || s.guard.passNonSync(s.certainty(), s.commands.InLiteral()):
		return from
	}
	plus := at - len("+}\n")
	if p[plus] != '+' {
		plus--
	}
	s.forward(p[from:plus])
	s.forward(p[plus+1 : at])
	s.holdClient(waitPlusNonSync, now)
	return at
}

// certainty says how servers read the non-synchronising literal that the client has just announced. A server that has
// already answered the command says nothing more about it.
func (s *session) certainty() wire.Certainty {
	switch c := s.current; {
	case c == nil && !s.oddLine:
		return wire.Unanswered
	case c == nil, c.grammar == nil:
		return wire.Doubtful
	default:
		return c.grammar.Literal(s.extensions)
	}
}

// holdClient stops reading the client until the server's "+" or the answer to the current command. If the command was
// already answered, the server has refused the literal. An odd line is no command, but the relay asks the server for
// its literals too.
func (s *session) holdClient(w wait, now int64) {
	switch {
	case s.current != nil:
		s.tracker.startClock(s.current, now)
	case !s.oddLine:
		s.dropRefusedLiteral(w)
		return
	}
	s.wait = w
	if s.earlyPlus {
		s.handlePlus(now)
	}
}

// dropRefusedLiteral ends the wait for a literal that the server has refused. If the client waited too, it sends a
// command next. If it did not wait, the literal and the rest of the command are dropped.
func (s *session) dropRefusedLiteral(w wait) {
	s.wait = waitNone
	if w == waitPlusNonSync {
		s.handling = handlingDrop
		return
	}
	s.commands.CancelLiteral()
	s.oddLine = false
}

// releaseClient ends the client's wait, or its IDLE, because the command was answered. The client sends another command
// next. If a command is answered before its last byte, the rest of it is still forwarded.
func (s *session) releaseClient(c *command) {
	switch {
	case c != s.current:
		return
	case s.wait != waitNone:
		s.dropRefusedLiteral(s.wait)
	case s.commands.AtLineStart():
		s.commands.CancelLiteral()
	}
	s.current = nil
}

// handlePlus reads the client again after the server's "+". If the "+" comes before the end of the client's line, it
// counts for that end: Dovecot sends "+" at the CR of IDLE. A "+" that no command waits for has no effect.
func (s *session) handlePlus(now int64) {
	c := s.current
	if s.wait == waitNone {
		s.guard.noteUnaskedPlus()
		s.earlyPlus = c != nil
		return
	}
	s.wait, s.earlyPlus = waitNone, false
	if c != nil {
		s.tracker.stopClock(c, now)
	}
	switch {
	case s.commands.AtLineStart():
		s.commands.ExpectLine()
		if c != nil {
			s.tracker.setIdling(c, c.verb == wire.VerbIdle)
		}
	case s.mustGuard():
		s.guard.acceptLiteral(c, &s.tracker, s.commands.InLiteral())
	}
}
