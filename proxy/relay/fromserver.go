package relay

import (
	"bytes"

	"portico/proxy/wire"
)

// fromServer takes what the server sent and returns how much of it is used.
func (s *session) fromServer(p []byte, now int64) int {
	from, at := 0, 0 // p[from:at] is interpreted and has to be forwarded
	for !s.ending {
		if s.opaque && s.ownLines.len() == 0 {
			at = len(p)
			break
		}
		rest := p[at:]
		if s.ownLines.len() > 0 { // they follow the first line that ends a response
			rest = rest[:nextLine(rest)]
		}
		n, event, line := s.responses.Next(rest)
		at += n
		if s.needsWholeLine(event) && mayWaitForLine(p[at:]) {
			s.responses.Hold()
			break
		}
		switch {
		case event != wire.ResponseMore:
			from = s.handleResponse(p, from, at, event, line, now)
			continue
		case n > 0 && s.ownLines.len() > 0 && s.responses.AtLineStart():
			s.out.toClient(p[from:at])
			s.sendOwnLines()
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
		s.watching.received += uint64(at)
	}
	return at
}

// handleResponse acts on the scanner's event, a line of the server at p[at]. It returns the new from.
func (s *session) handleResponse(p []byte, from, at int, event wire.ResponseEvent, line wire.ResponseLine,
	now int64) int {
	switch event {
	case wire.ResponseTagged:
		if !s.handleTagged(p, at, line, now) {
			return from
		}
	case wire.ResponseContinue:
		asked := s.plusIsOurs()
		if s.handlePlus(now); asked {
			return s.withholdLine(p, from, at)
		}
	case wire.ResponseStatus:
		s.saidBye = s.saidBye || line.Status == wire.StatusBYE
		if line.Status == wire.StatusBAD {
			s.handleUntaggedBad()
		}
	case wire.ResponseGarbage:
		s.stopAtServerLine()
		return from
	}
	switch {
	case line.Capabilities == wire.ListTooLong:
		s.tracker.stats.LongCapabilities++
		if s.offers == OffersNone {
			s.offers = OffersUnknown
		}
	case line.Capabilities > 0:
		return s.filterCapabilities(p, from, at, line.Capabilities)
	}
	return from
}

// needsWholeLine says whether an event can be handled only when its whole line is there.
func (s *session) needsWholeLine(event wire.ResponseEvent) bool {
	return event == wire.ResponseTagged && s.watching != nil || event == wire.ResponseContinue && s.plusIsOurs()
}

// plusIsOurs says whether a "+" that comes now answers Portico: Portico has asked for a literal that the client sends
// without asking.
func (s *session) plusIsOurs() bool {
	return s.wait == waitPlusNonSync && !s.tracker.othersMayAsk(s.current)
}

// withholdLine forwards what stands before the line at p[at], and keeps the line from the client. It returns the new
// from.
func (s *session) withholdLine(p []byte, from, at int) int {
	if from < at {
		s.out.toClient(p[from:at])
	}
	return at + nextLine(p[at:])
}

// handleTagged acts on the tagged answer at p[at]. It returns false if the relay stops interpreting the session, or
// ends it. If no open command has the tag, the server may have read a line of the client in another way than we do.
func (s *session) handleTagged(p []byte, at int, line wire.ResponseLine, now int64) bool {
	c := s.tracker.find(p[at+line.Blank:][:line.TagLen])
	switch {
	case c == nil:
		s.guard.noteUnknownAnswer()
		switch {
		case s.wait == waitPlus: // the answer may be to the command that waits
			s.guard.expectLatePlus(&s.tracker)
			s.wait = waitCancelled
		case s.wait == waitPlusNonSync && s.current == nil:
			s.dropRefusedLiteral(waitPlusNonSync)
		}
		return true
	case s.handling == handlingRefuse && c == s.current, s.isSecondSignIn(c, line.Status):
		s.stopAtServerLine()
		return false
	}
	s.saidBye = s.saidBye || line.Status == wire.StatusBYE
	s.loggedOut = s.loggedOut || c.verb == wire.VerbLogout
	if c != s.tracker.first {
		s.finishBadBefore(c, now)
	}
	s.guard.noteAnswer(c)
	s.releaseClient(c)
	s.finishCommand(c, resultOf(c.verb, line.Status), p, at, now)
	return true
}

// handleUntaggedBad acts on an untagged BAD. Servers send it for a line that they could not read, and mostly send no
// other answer to that line. It ends the wait of the current command. A command that waits only for its answer may
// still get one.
func (s *session) handleUntaggedBad() {
	s.guard.takeOddAnswer()
	c, w := s.current, s.wait
	switch {
	case w == waitNone && c == nil && s.tracker.open == 1:
		c = s.tracker.first
	case w == waitNone, w == waitCancelled:
		return
	default:
		s.guard.expectLatePlus(&s.tracker)
		if s.wait = waitCancelled; w == waitPlusNonSync {
			s.dropRefusedLiteral(w)
			s.current = nil
		}
	}
	if c != nil {
		c.maybeBad = true
	}
}

// finishBadBefore closes the commands before c that the server could not read. It has answered c, so it will not answer
// them.
func (s *session) finishBadBefore(c *command, now int64) {
	for next := s.tracker.first; next != c; {
		before := next
		if next = next.next; before.maybeBad {
			s.finishCommand(before, ResultBAD, nil, ours, now)
		}
	}
}

// resultOf returns the result that an answer's status stands for. Some servers answer LOGOUT with a tagged BYE.
func resultOf(verb wire.Verb, status wire.Status) Result {
	switch {
	case status != wire.StatusBYE:
		return Result(status - wire.StatusOK)
	case verb == wire.VerbLogout:
		return ResultOK
	}
	return ResultBAD
}

// isSecondSignIn says whether the server has just signed somebody in. Then it must have signed the user out before.
func (s *session) isSecondSignIn(c *command, status wire.Status) bool {
	return status == wire.StatusOK && (c.verb == wire.VerbLogin || c.verb == wire.VerbAuthenticate) &&
		s.offers != OffersNone
}

// filterCapabilities forwards what stands before the capability list of size bytes at p[at], and the list without the
// hidden names. It returns the new from.
func (s *session) filterCapabilities(p []byte, from, at, size int) int {
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
