package relay

import "portico/proxy/wire"

// wait is what the client is held back for.
type wait uint8

const (
	waitNone    wait = iota
	waitPlus         // the server's "+", or its answer, after which the client sends no literal
	waitAnyPlus      // the same for a literal that the client sends in any case, as it has not asked
	// nothing more: the server could not read the line. What the client sends next is a command, but for a "+" before
	// it
	waitOver
)

// freeLiteral is for a non-synchronising literal whose marker ends at p[at]. In front of a server that takes none of
// its size, or may not take this one for a literal, the marker loses its "+", and the client's next bytes wait for the
// server's. It returns from where p is still to be passed on.
func (s *session) freeLiteral(p []byte, from, at int, now int64) int {
	switch {
	case !s.extends.TakesFree(s.commands.LiteralSize()):
		s.guard.asked(s.current, s.extends)
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

// certainty says what servers make of the non-synchronising literal that the client has just announced. A server that
// has answered the command already says nothing more about it.
func (s *session) certainty() wire.Certainty {
	switch c := s.current; {
	case c == nil && !s.stray:
		return wire.Unanswered
	case c == nil, c.grammar == nil:
		return wire.Doubtful
	default:
		return c.grammar.Literal(s.extends)
	}
}

// hold holds the client back until the server's "+" or the answer to the current command. Where that was answered
// already, a literal that the client asks for will not come, and one that comes all the same goes nowhere. A line
// without a valid head is no command, but its literals are asked for too.
func (s *session) hold(w wait, now int64) {
	switch {
	case s.current != nil:
		s.tracker.owe(s.current, now)
	case !s.stray:
		s.noLiteral(w)
		return
	}
	s.waits = w
	if s.early {
		s.proceed(now)
	}
}

// noLiteral says that the server takes no literal, nor anything behind it. What comes next is a command, but for what
// the client has sent without asking.
func (s *session) noLiteral(w wait) {
	s.waits = waitNone
	if w == waitAnyPlus {
		s.becomes = dropped
		return
	}
	s.commands.CancelLiteral()
	s.stray = false
}

// release ends what the client was waiting for, or its IDLE: what it sends next is a command of its own. A command
// that is answered before its last byte goes on being sent.
func (s *session) release(c *command) {
	switch {
	case c != s.current:
		return
	case s.waits != waitNone:
		s.noLiteral(s.waits)
	case s.commands.AtLineStart():
		s.commands.CancelLiteral()
	}
	s.current = nil
}

// proceed lets the client go on behind the server's "+". Where that comes while a line is still being sent, the client
// may go on behind the line: Dovecot says "+" at the CR of IDLE. A "+" that nobody asks for means nothing.
func (s *session) proceed(now int64) {
	c := s.current
	if s.waits == waitNone {
		s.guard.unasked()
		s.early = c != nil
		return
	}
	s.waits, s.early = waitNone, false
	if c != nil {
		s.tracker.paid(c, now)
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
