package relay

import (
	"bytes"

	"portico/proxy/wire"
)

// fromServer takes what the server sent and returns how much of it is used.
func (s *session) fromServer(p []byte, now int64) int {
	from, at := 0, 0 // p[from:at] is judged and to be passed on
	for !s.ending {
		if s.opaque && s.answers.len() == 0 {
			at = len(p)
			break
		}
		rest := p[at:]
		if s.answers.len() > 0 { // they go in behind the first line that ends a response
			rest = rest[:nextLine(rest)]
		}
		n, event, line := s.responses.Next(rest)
		at += n
		if s.wantsLine(event) && waitsForLine(p[at:]) {
			s.responses.Hold()
			break
		}
		switch {
		case event != wire.ResponseMore:
			from = s.respond(p, from, at, event, line, now)
			continue
		case n > 0 && s.answers.len() > 0 && s.responses.AtLineStart():
			s.out.toClient(p[from:at])
			s.sendAnswers()
			from = at
			continue
		}
		if n < len(rest) || at == len(p) {
			break
		}
	}
	if from < at {
		s.out.toClient(p[from:at])
	}
	if s.watching != nil {
		s.watching.served += uint64(at)
	}
	return at
}

// respond acts on the line of the server at p[at], which means something, and returns from where p is still to be
// passed on.
func (s *session) respond(p []byte, from, at int, event wire.ResponseEvent, line wire.ResponseLine, now int64) int {
	switch event {
	case wire.ResponseTagged:
		if !s.tagged(p, at, line, now) {
			return from
		}
	case wire.ResponseContinue:
		asked := s.asked()
		if s.proceed(now); asked {
			return s.swallow(p, from, at)
		}
	case wire.ResponseStatus:
		s.saidBye = s.saidBye || line.Status == wire.StatusBYE
		if line.Status == wire.StatusBAD {
			s.untaggedBad()
		}
	case wire.ResponseGarbage:
		s.outOfStep()
		return from
	}
	switch {
	case line.Capabilities == wire.ListTooLong:
		s.tracker.stats.LongCapabilities++
		if s.offers == OffersNone {
			s.offers = OffersUnknown
		}
	case line.Capabilities > 0:
		return s.filter(p, from, at, line.Capabilities)
	}
	return from
}

// wantsLine says whether the line that an event is about has to be there whole.
func (s *session) wantsLine(event wire.ResponseEvent) bool {
	return event == wire.ResponseTagged && s.watching != nil || event == wire.ResponseContinue && s.asked()
}

// asked says whether a "+" that comes now answers Portico, which has asked for a literal that the client sends in any
// case.
func (s *session) asked() bool { return s.waits == waitAnyPlus && !s.tracker.othersMayAsk(s.current) }

// swallow keeps the line at p[at] from the client, and passes on what stands before it. It returns from where p is
// still to be passed on.
func (s *session) swallow(p []byte, from, at int) int {
	if from < at {
		s.out.toClient(p[from:at])
	}
	return at + nextLine(p[at:])
}

// tagged acts on the answer at p[at]. It answers false when that ends judging or the session. An answer to a command
// that never was may be one to a line that the server has read in another way than we do.
func (s *session) tagged(p []byte, at int, line wire.ResponseLine, now int64) bool {
	c := s.tracker.find(p[at+line.Blank:][:line.TagLen])
	switch {
	case c == nil:
		s.guard.unknown()
		switch {
		case s.waits == waitPlus: // perhaps for the command that waits
			s.guard.cancelled(&s.tracker)
			s.waits = waitOver
		case s.waits == waitAnyPlus && s.current == nil:
			s.literalRefused(waitAnyPlus)
		}
		return true
	case s.handling == refused && c == s.current, s.signedInAgain(c, line.Status):
		s.outOfStep()
		return false
	}
	s.saidBye = s.saidBye || line.Status == wire.StatusBYE
	s.loggedOut = s.loggedOut || c.verb == wire.VerbLogout
	if c != s.tracker.first {
		s.unreadBefore(c, now)
	}
	s.guard.answered(c)
	s.release(c)
	s.answered(c, resultOf(c.verb, line.Status), p, at, now)
	return true
}

// untaggedBad acts on an untagged BAD. Servers say so of a line that they could not read, and mostly nothing else
// about it. It ends the wait of the command that the client is held back for; of a command that waits only for its
// answer, that may still come.
func (s *session) untaggedBad() {
	s.guard.oddAnswered()
	c, w := s.current, s.waits
	switch {
	case w == waitNone && c == nil && s.tracker.open == 1:
		c = s.tracker.first
	case w == waitNone, w == waitOver:
		return
	default:
		s.guard.cancelled(&s.tracker)
		if s.waits = waitOver; w == waitAnyPlus {
			s.literalRefused(w)
			s.current = nil
		}
	}
	if c != nil {
		c.unread = true
	}
}

// unreadBefore closes the commands before c that the server could not read: it has come to c without an answer to
// them.
func (s *session) unreadBefore(c *command, now int64) {
	for next := s.tracker.first; next != c; {
		before := next
		if next = next.next; before.unread {
			s.answered(before, ResultBAD, nil, ours, now)
		}
	}
}

// resultOf returns what an answer's status says of a command. BYE behind a tag is how some servers answer LOGOUT.
func resultOf(verb wire.Verb, status wire.Status) Result {
	switch {
	case status != wire.StatusBYE:
		return Result(status - wire.StatusOK)
	case verb == wire.VerbLogout:
		return ResultOK
	}
	return ResultBAD
}

// signedInAgain says whether the server has just signed somebody in: then it had signed the user out before.
func (s *session) signedInAgain(c *command, status wire.Status) bool {
	return status == wire.StatusOK && (c.verb == wire.VerbLogin || c.verb == wire.VerbAuthenticate) &&
		s.offers != OffersNone
}

// filter writes the capability list of size bytes at p[at] without the hidden names, and what stands before it. It
// returns from where p is still to be written.
func (s *session) filter(p []byte, from, at, size int) int {
	filtered, offered := wire.AppendFilteredCapabilities(nil, p[at:at+size])
	s.extensions = wire.ListedExtensions(filtered)
	switch {
	case offered:
		s.offers = OffersHidden
	case s.offers == OffersUnknown:
		s.offers = OffersNone
	}
	if from < at {
		s.out.toClient(p[from:at])
	}
	s.out.toClient(filtered)
	return at + size
}

// nextLine returns the length of p's first line, or of p.
func nextLine(p []byte) int {
	if eol := bytes.IndexByte(p, '\n'); eol >= 0 {
		return eol + 1
	}
	return len(p)
}
