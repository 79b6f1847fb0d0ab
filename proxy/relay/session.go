package relay

import (
	"time"

	"portico/proxy/wire"
)

// ends sends bytes to a session's two ends; it must not keep the slices. Each driver implements it.
type ends interface {
	toClient(p []byte)
	toServer(p []byte)
	whose() Owner
}

// session interprets what passes between the two ends of one session. It does no I/O and knows no clock: a driver
// gives it the bytes read, and it writes the bytes to send to its ends. Only its loop may use it.
//
// The driver offers bytes in order. It offers bytes that were not used again, followed by new ones. If mayReadClient
// is false, the client's bytes must wait.
type session struct {
	out ends

	commands  wire.CommandScanner
	responses wire.ResponseScanner
	tracker   tracker
	current   *command  // the one whose bytes the client is sending, or whose lines follow
	answers   rareBytes // our own lines, collected and held until the server is at a line boundary

	watching *watching // nil while nobody watches

	guard      guard
	offers     Offers
	extensions wire.Extensions // of the server's last capability list
	waits      wait            // what must come before more of the client is used
	early      bool            // a "+" came before the end of the line that asks for it
	handling   handling        // of the bytes that the client sends now
	stray      bool            // the client's line has no valid head
	opaque     bool            // the relay can no longer interpret the session, and only passes bytes on
	saidBye    bool            // the server has sent BYE
	loggedOut  bool            // the client has sent LOGOUT, and got the answer
	ending     bool            // the session must end for reason
	reason     Reason
}

// handling says what happens to a command's bytes.
type handling uint8

const (
	passed  handling = iota
	refused          // dropped; Portico answers the command
	dropped          // dropped; the server has answered the command before its end
)

// mayReadClient says whether more bytes of the client can be used.
func (s *session) mayReadClient() bool {
	return (s.waits == waitNone || s.waits == waitOver) && s.answers.len() < maxAnswers &&
		(s.tracker.open < maxOpen || !s.commands.AtLineStart())
}

// maxAnswers bounds Portico's own lines that wait for a line boundary of the server, in bytes.
const maxAnswers = 4 << 10

// fromClient takes what the client sent and returns how much of it is used.
func (s *session) fromClient(p []byte, now int64) int {
	if s.opaque {
		s.out.toServer(p)
		return len(p)
	}
	n := s.interpret(p, now)
	if s.answers.len() > 0 {
		s.sendAnswers()
	}
	return n
}

// interpret is fromClient for a session that is not opaque.
func (s *session) interpret(p []byte, now int64) int {
	if s.waits == waitOver && len(p) > 0 {
		s.literalRefused(waitPlus)
		s.current = nil
	}
	from, at := 0, 0 // p[from:at] is judged and to be passed on
	for s.mayReadClient() && !s.ending {
		literal := s.commands.InLiteral()
		n, event, head := s.commands.Next(p[at:])
		if s.guards() && n > 0 {
			if forbidden := s.look(p[at:at+n], literal, event); forbidden >= 0 {
				s.out.toServer(p[from : at+forbidden]) // not the line's end: the server does nothing
				s.end(ReasonDoubt)
				return at + n
			}
		}
		at += n
		if s.watching != nil {
			s.noteSent(p[at-n : at])
		}
		if event == wire.CommandMore {
			s.pass(p[from:at])
			return at
		}
		from = s.command(p, from, at, event, head, now)
	}
	s.pass(p[from:at])
	return at
}

// command acts on the scanner's event at p[at], and returns from where p is still to be passed on.
func (s *session) command(p []byte, from, at int, event wire.CommandEvent, head wire.CommandHead, now int64) int {
	switch event {
	case wire.CommandBegin, wire.CommandLongTag:
		return s.begin(p, from, at, event, head, now)
	case wire.CommandStray:
		s.stray = true
		if s.guards() {
			s.guard.odd()
		}
	case wire.CommandSync:
		if s.handling != passed {
			s.commands.CancelLiteral()
			return s.commandOver(at, now)
		}
		s.guard.asked(s.current, s.extensions)
		s.hold(waitPlus, now)
	case wire.CommandFree:
		if s.handling == passed {
			return s.nonSyncLiteral(p, from, at, now)
		}
	case wire.CommandLiteral:
		s.guard.literalOver()
	case wire.CommandEnd, wire.CommandLine:
		s.stray = false
		if s.handling != passed {
			return s.commandOver(at, now)
		}
		s.lineSent(now)
	}
	return from
}

// begin opens the command that begins at p[at].
func (s *session) begin(p []byte, from, at int, event wire.CommandEvent, head wire.CommandHead, now int64) int {
	tag := p[at : at+head.TagLen]
	if event == wire.CommandLongTag {
		tag = []byte("*")
	}
	if event == wire.CommandLongTag || head.Verb.Intercepted() {
		s.pass(p[from:at])
		from = at
		s.handling = refused
	}
	s.current, s.early = s.tracker.begin(tag, head.Verb, now), false
	if s.guards() {
		s.guard.begin(s.current, head, p[at:], s.tracker.stats.pool)
	}
	if s.watching != nil {
		s.noteBegin(s.current, head)
	}
	return from
}

// commandOver is for the end of a command that is not passed on. It returns from where p is passed on again.
func (s *session) commandOver(at int, now int64) int {
	if s.handling == refused {
		s.answerRefused(now)
	}
	s.handling = passed
	return at
}

// pass passes bytes of the client on, unless they belong to a command that is refused or dropped.
func (s *session) pass(p []byte) {
	if len(p) > 0 && s.handling == passed && !s.ending {
		s.out.toServer(p)
	}
}

// answerRefused answers the current command, which the server does not get.
func (s *session) answerRefused(now int64) {
	c := s.current
	s.current = nil
	answer := append(append([]byte(nil), c.name()...), refusal(c.verb)...)
	s.answers.add(answer)
	s.tracker.stats.Intercepted++
	s.answered(c, refusalResult(c.verb), answer, ours, now)
	if s.answers.len() >= maxAnswers {
		s.sendAnswers()
	}
}

// lineSent records that one full line of the current command has been forwarded.
func (s *session) lineSent(now int64) {
	c := s.current
	if c == nil { // answered before its last byte, or none
		return
	}
	s.guard.sent(c, s.tracker.stats.pool)
	switch {
	case c.verb == wire.VerbIdle && !c.idling, c.verb == wire.VerbAuthenticate:
		s.hold(waitPlus, now)
		return
	case c.idling: // DONE, or whatever stood in its place
		s.tracker.idle(c, false)
	}
	s.tracker.startClock(c, now)
	s.current = nil
}

// answered closes a command, and tells the watcher.
func (s *session) answered(c *command, r Result, p []byte, at int, now int64) {
	s.stopClock(c, r, now)
	if s.watching != nil {
		s.tell(c, r, p, at)
	}
	s.tracker.answered(c, r)
}

// stopClock stops a command's server time at its end, and keeps the command if it was slow.
func (s *session) stopClock(c *command, r Result, now int64) {
	s.tracker.stopClock(c, now)
	if c.serverTime >= slowFloor {
		s.tracker.stats.noteSlow(c.verb, slowCommand{s.out.whose(), now, c.serverTime, r})
	}
}

// outOfStep is for a line of the server that shows that the relay and the server read the session differently. No byte
// of the line is passed on yet, so the client is still at a line boundary.
func (s *session) outOfStep() {
	s.responses = wire.ResponseScanner{}
	s.doubt()
}

// atClientBoundary says whether the client is between two commands.
func (s *session) atClientBoundary() bool { return s.commands.AtLineStart() || s.waits == waitOver }

// doubt is for a session that cannot be followed. It becomes opaque, or ends if something might slip past an
// interception. Portico's own lines that still wait are sent first.
func (s *session) doubt() {
	if s.offers != OffersNone {
		s.end(ReasonDoubt)
		return
	}
	s.opaque = true
	s.tracker.stats.Opaque++
	for c := s.tracker.first; c != nil; c = c.next {
		if s.watching != nil {
			s.tell(c, ResultAborted, nil, ours)
		}
	}
	s.current, s.waits, s.handling = nil, waitNone, passed
	s.tracker.clear()
}

// end asks the driver to end the session.
func (s *session) end(r Reason) {
	if !s.ending {
		s.ending, s.reason = true, r
	}
}

// atServerBoundary says whether Portico may send the client a line of its own here.
func (s *session) atServerBoundary() bool { return !s.opaque && s.responses.AtLineStart() }

// sendAnswers sends Portico's own lines, if the server is at a line boundary.
func (s *session) sendAnswers() {
	if s.answers.len() > 0 && s.responses.AtLineStart() {
		s.out.toClient(s.answers.bytes())
		s.answers.drop()
	}
}

// ended calls the watcher.
func (s *session) ended(e Ending) {
	if s.watching != nil {
		s.watching.to.Ended(e)
	}
}

// over releases what the session holds in its loop's tables.
func (s *session) over(now int64) {
	if s.opaque {
		s.tracker.stats.Opaque--
	}
	s.abort(now)
}

// abort closes the open commands, because the mailbox server is gone.
func (s *session) abort(now int64) {
	for c := s.tracker.first; c != nil; c = c.next {
		s.stopClock(c, ResultAborted, now)
		if s.watching != nil {
			s.tell(c, ResultAborted, nil, ours)
		}
	}
	s.tracker.clear()
	s.current, s.waits = nil, waitNone
}

// carried describes the session.
func (s *session) carried(now int64, silent time.Duration) Carried {
	t := &s.tracker
	c := Carried{Owner: s.out.whose(), Commands: uint64(t.commands), Open: int(t.open), Silent: silent,
		Opaque: s.opaque}
	if t.first != nil {
		c.Idling = t.open == 1 && t.first.idling
		c.Verb, c.Age = t.first.verb, time.Duration(now-t.first.began)
		c.Waited = time.Duration(t.serverTime(t.first, now))
		if t.first.since != 0 {
			c.Oldest = c.Waited
		}
	}
	return c
}
