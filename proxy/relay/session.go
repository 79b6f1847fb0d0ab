package relay

import (
	"time"

	"portico/proxy/wire"
)

// ends sends bytes to a session's two ends; it must not keep the slices. Each driver implements it.
type ends interface {
	toClient(p []byte)
	toServer(p []byte)
	sessionOwner() Owner
}

// session interprets the bytes that pass between the two ends of one session. It does no I/O and knows no clock: a
// driver gives it the bytes read, and it writes the bytes to send to its ends. Only its loop may use it.
//
// The driver offers bytes in order. Bytes that were not used, it offers again with new ones behind them. If
// mayReadClient is false, the client's bytes must wait.
type session struct {
	out ends

	commands  wire.CommandScanner
	responses wire.ResponseScanner
	tracker   tracker
	current   *command  // whose bytes the client is sending, or whose next lines are due
	ownLines  rareBytes // our own lines, collected and held until the server is at a line boundary

	watching *watching // nil while nobody watches

	guard      guard
	offers     Offers
	extensions wire.Extensions // of the server's last capability list
	wait       wait            // what must come before more of the client is used
	earlyPlus  bool            // a "+" came before the end of the line that it answers
	handling   handling        // of the bytes that the client sends now
	oddLine    bool            // the client's line is odd: it has no valid head
	opaque     bool            // the relay can no longer interpret the session, and only passes bytes on
	saidBye    bool            // the server has sent BYE
	loggedOut  bool            // the client has sent LOGOUT, and got the answer
	ending     bool            // the session must end for reason
	reason     Reason
}

// handling says what the relay does with a command's bytes.
type handling uint8

const (
	handlingForward handling = iota
	handlingRefuse           // dropped; Portico answers the command
	handlingDrop             // dropped; the server has answered the command before its end
)

// mayReadClient says whether more bytes of the client can be used.
func (s *session) mayReadClient() bool {
	return (s.wait == waitNone || s.wait == waitCancelled) && s.ownLines.len() < maxOwnLines &&
		(s.tracker.open < maxOpen || !s.commands.AtLineStart())
}

// maxOwnLines bounds Portico's own lines that wait for a line boundary of the server, in bytes.
const maxOwnLines = 4 << 10

// fromClient takes what the client sent and returns how much of it is used.
func (s *session) fromClient(p []byte, now int64) int {
	if s.opaque {
		s.out.toServer(p)
		return len(p)
	}
	n := s.interpret(p, now)
	if s.ownLines.len() > 0 {
		s.sendOwnLines()
	}
	return n
}

// interpret does fromClient's work for a session that is not opaque.
func (s *session) interpret(p []byte, now int64) int {
	if s.wait == waitCancelled && len(p) > 0 {
		s.dropRefusedLiteral(waitPlus)
		s.current = nil
	}
	from, at := 0, 0 // p[from:at] is interpreted and has to be forwarded
	for s.mayReadClient() && !s.ending {
		literal := s.commands.InLiteral()
		n, event, head := s.commands.Next(p[at:])
		if s.mustGuard() && n > 0 {
			if forbidden := s.findForbidden(p[at:at+n], literal, event); forbidden >= 0 {
				s.out.toServer(p[from : at+forbidden]) // not the line's end: the server does nothing
				s.requestEnd(ReasonDoubt)
				return at + n
			}
		}
		at += n
		if s.watching != nil {
			s.noteSent(p[at-n : at])
		}
		if event == wire.CommandMore {
			s.forward(p[from:at])
			return at
		}
		from = s.handleCommandEvent(p, from, at, event, head, now)
	}
	s.forward(p[from:at])
	return at
}

// handleCommandEvent acts on the scanner's event at p[at]. p[from:at] is not forwarded yet. Like every function that
// gets from, it returns the new from: the bytes before it are forwarded or dropped.
func (s *session) handleCommandEvent(p []byte, from, at int, event wire.CommandEvent, head wire.CommandHead,
	now int64) int {
	switch event {
	case wire.CommandBegin, wire.CommandLongTag:
		return s.beginCommand(p, from, at, event, head, now)
	case wire.CommandOdd:
		s.oddLine = true
		if s.mustGuard() {
			s.guard.noteOddLine()
		}
	case wire.CommandSync:
		if s.handling != handlingForward {
			s.commands.CancelLiteral()
			return s.endWithheld(at, now)
		}
		s.guard.announceLiteral(s.current, s.extensions)
		s.holdClient(waitPlus, now)
	case wire.CommandNonSync:
		if s.handling == handlingForward {
			return s.handleNonSync(p, from, at, now)
		}
	case wire.CommandLiteral:
		s.guard.endLiteral()
	case wire.CommandEnd, wire.CommandLine:
		s.oddLine = false
		if s.handling != handlingForward {
			return s.endWithheld(at, now)
		}
		s.endLine(now)
	}
	return from
}

// beginCommand opens the command that begins at p[at].
func (s *session) beginCommand(p []byte, from, at int, event wire.CommandEvent, head wire.CommandHead, now int64) int {
	tag := p[at : at+head.TagLen]
	if event == wire.CommandLongTag {
		tag = []byte("*")
	}
	if event == wire.CommandLongTag || head.Verb.Intercepted() {
		s.forward(p[from:at])
		from = at
		s.handling = handlingRefuse
	}
	s.current, s.earlyPlus = s.tracker.begin(tag, head.Verb, now), false
	if s.mustGuard() {
		s.guard.beginCommand(s.current, head, p[at:], s.tracker.stats.pool)
	}
	if s.watching != nil {
		s.noteBegin(s.current, head)
	}
	return from
}

// endWithheld acts on the end of a command that the server does not get. It returns the new from.
func (s *session) endWithheld(at int, now int64) int {
	if s.handling == handlingRefuse {
		s.refuseCommand(now)
	}
	s.handling = handlingForward
	return at
}

// forward sends bytes of the client to the server, unless they belong to a command that is refused or dropped.
func (s *session) forward(p []byte) {
	if len(p) > 0 && s.handling == handlingForward && !s.ending {
		s.out.toServer(p)
	}
}

// refuseCommand answers the current command in the server's place.
func (s *session) refuseCommand(now int64) {
	c := s.current
	s.current = nil
	answer := append(append([]byte(nil), c.name()...), refusal(c.verb)...)
	s.ownLines.add(answer)
	s.tracker.stats.Intercepted++
	s.finishCommand(c, refusalResult(c.verb), answer, ours, now)
	if s.ownLines.len() >= maxOwnLines {
		s.sendOwnLines()
	}
}

// endLine records that one full line of the current command has been forwarded.
func (s *session) endLine(now int64) {
	c := s.current
	if c == nil { // answered before its last byte, or none
		return
	}
	s.tracker.stats.pool.putGrammar(c)
	switch {
	case c.verb == wire.VerbIdle && !c.idling, c.verb == wire.VerbAuthenticate:
		s.holdClient(waitPlus, now)
		return
	case c.idling: // DONE, or another line in its place
		s.tracker.setIdling(c, false)
	}
	s.tracker.startClock(c, now)
	s.current = nil
}

// finishCommand closes a command, and notifies the watcher. See notifyFinished for p and at.
func (s *session) finishCommand(c *command, r Result, p []byte, at int, now int64) {
	s.stopClock(c, r, now)
	if s.watching != nil {
		s.notifyFinished(c, r, p, at)
	}
	s.tracker.finish(c, r)
}

// stopClock stops a command's server time at its end, and keeps the command if it was slow.
func (s *session) stopClock(c *command, r Result, now int64) {
	s.tracker.stopClock(c, now)
	if c.serverTime >= slowFloor {
		s.tracker.stats.noteSlow(c.verb, slowCommand{s.out.sessionOwner(), now, c.serverTime, r})
	}
}

// stopAtServerLine calls stopInterpreting, because a line of the server shows that the relay and the server read the
// session differently. No byte of the line is forwarded yet, so the client is still at a line boundary.
func (s *session) stopAtServerLine() {
	s.responses = wire.ResponseScanner{}
	s.stopInterpreting()
}

// atClientBoundary says whether the client is between two commands.
func (s *session) atClientBoundary() bool { return s.commands.AtLineStart() || s.wait == waitCancelled }

// stopInterpreting makes the session opaque, because the relay cannot follow it. If the server may offer COMPRESS or
// UNAUTHENTICATE, it ends the session instead.
func (s *session) stopInterpreting() {
	if s.offers != OffersNone {
		s.requestEnd(ReasonDoubt)
		return
	}
	s.opaque = true
	s.tracker.stats.Opaque++
	for c := s.tracker.first; c != nil; c = c.next {
		if s.watching != nil {
			s.notifyFinished(c, ResultAborted, nil, ours)
		}
	}
	s.current, s.wait, s.handling = nil, waitNone, handlingForward
	s.tracker.clear()
}

// requestEnd makes the driver end the session at its next step.
func (s *session) requestEnd(r Reason) {
	if !s.ending {
		s.ending, s.reason = true, r
	}
}

// atServerBoundary says whether Portico may send the client a line of its own here.
func (s *session) atServerBoundary() bool { return !s.opaque && s.responses.AtLineStart() }

// sendOwnLines sends Portico's own lines, if the server is at a line boundary.
func (s *session) sendOwnLines() {
	if s.ownLines.len() > 0 && s.responses.AtLineStart() {
		s.out.toClient(s.ownLines.bytes())
		s.ownLines.drop()
	}
}

// notifyEnded tells the watcher that the session has ended.
func (s *session) notifyEnded(e Ending) {
	if s.watching != nil {
		s.watching.watcher.Ended(e)
	}
}

// releaseTables gives back what the session holds in its loop's statistics and pools.
func (s *session) releaseTables(now int64) {
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
			s.notifyFinished(c, ResultAborted, nil, ours)
		}
	}
	s.tracker.clear()
	s.current, s.wait = nil, waitNone
}

// describe returns the session as Relay.Sessions lists it.
func (s *session) describe(now int64, silent time.Duration) Carried {
	t := &s.tracker
	c := Carried{Owner: s.out.sessionOwner(), Commands: uint64(t.numAnswered), Open: int(t.open), Silent: silent,
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
