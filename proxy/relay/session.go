package relay

import (
	"bytes"
	"time"

	"portico/proxy/wire"
)

// ends takes bytes for a session's two ends, keeping no slice, and knows whose they are. Each driver has its own.
type ends interface {
	toClient(p []byte)
	toServer(p []byte)
	whose() Owner
}

// session judges what passes between the two ends of one session. It does no I/O and knows no clock: a driver hands it what
// was read, and it writes what is to be sent to its ends. Only its loop may touch it.
//
// The driver offers bytes in order and again those that were not used, with more behind them. When mayReadClient is false, the
// client's bytes have to wait.
type session struct {
	out ends

	commands  wire.CommandScanner
	responses wire.ResponseScanner
	tracker   tracker
	current   *command // the one whose bytes the client is sending, or whose lines follow
	answers   few      // our own lines, collected and held until the server is at a line boundary

	watching *watching // nil while nobody watches

	lookout  wire.Lookout // for what a server may take for a command, be it in a literal
	offers   Offers
	waits    bool // the "+" for current, or its answer, has to come before more of the client is used
	early    bool // that "+" is here already, before the end of the line that asks for it
	refusing bool // current is not passed on
	unjudged bool
	saidBye  bool // the server has
	ending   bool // over: reason says why
	reason   Reason
}

// mayReadClient says whether more bytes of the client can be used.
func (s *session) mayReadClient() bool {
	return !s.waits && s.answers.len() < maxAnswers && (s.tracker.open < maxOpen || !s.commands.AtLineStart())
}

// maxAnswers bounds our own lines that wait for a place, in bytes.
const maxAnswers = 4 << 10

// fromClient takes what the client sent and returns how much of it is used.
func (s *session) fromClient(p []byte, now int64) int {
	if s.unjudged {
		s.out.toServer(p)
		return len(p)
	}
	defer s.sendAnswers()
	from, at := 0, 0 // p[from:at] is judged and to be passed on
	for s.mayReadClient() && !s.ending {
		n, event, head := s.commands.Next(p[at:])
		at += n
		if s.watching != nil {
			s.noteSent(p[at-n : at])
		}
		switch event {
		case wire.CommandMore:
			s.pass(p[from:at])
			return at
		case wire.CommandBegin, wire.CommandLongTag:
			tag := p[at : at+head.TagLen]
			if event == wire.CommandLongTag {
				tag = []byte("*")
			}
			if event == wire.CommandLongTag || head.Verb.Intercepted() {
				s.pass(p[from:at])
				from = at
				s.refusing = true
			}
			s.current, s.early = s.tracker.begin(tag, head.Verb), false
			if s.watching != nil {
				s.noteBegin(s.current, head)
			}
		case wire.CommandSync:
			if s.refusing {
				s.commands.CancelLiteral()
				s.answerRefused(now)
				from = at
			} else {
				s.wait(now)
			}
		case wire.CommandEnd, wire.CommandLine:
			if s.refusing {
				s.answerRefused(now)
				from = at
			} else {
				s.lineSent(now)
			}
		case wire.CommandStray:
			s.pass(p[from:at])
			from = at
			if s.doubt(); s.unjudged {
				s.out.toServer(p[at:])
				return len(p)
			}
		}
	}
	s.pass(p[from:at])
	return at
}

// pass hands judged bytes of the client on, unless they belong to a refused command.
func (s *session) pass(p []byte) {
	if len(p) == 0 || s.refusing || s.ending {
		return
	}
	if s.offers != OffersNone {
		if at := s.lookout.Sees(p); at >= 0 {
			s.out.toServer(p[:at]) // not the line's end: the server does nothing
			s.end(ReasonDoubt)
			return
		}
	}
	s.out.toServer(p)
}

// answerRefused answers the current command in the server's place.
func (s *session) answerRefused(now int64) {
	c := s.current
	s.refusing, s.current = false, nil
	answer := append(append([]byte(nil), c.name()...), refusal(c.verb)...)
	s.answers.add(answer)
	s.tracker.stats.Intercepted++
	s.answered(c, refusalResult(c.verb), answer, ours, now)
	if s.answers.len() >= maxAnswers {
		s.sendAnswers()
	}
}

// lineSent notes that the server has got the current command as far as a line goes.
func (s *session) lineSent(now int64) {
	c := s.current
	if c == nil { // answered before its last byte
		return
	}
	switch {
	case c.verb == wire.VerbIdle && !c.idling, c.verb == wire.VerbAuthenticate:
		s.wait(now)
		return
	case c.idling: // DONE, or whatever stood in its place
		s.tracker.idle(c, false)
	}
	s.tracker.owe(c, now)
	s.current = nil
}

// wait holds the client back until the server's "+" or the answer to the current command. Where that was answered already,
// the literal will not come.
func (s *session) wait(now int64) {
	if s.current == nil {
		s.commands.CancelLiteral()
		return
	}
	s.tracker.owe(s.current, now)
	s.waits = true
	if s.early {
		s.proceed(now)
	}
}

// fromServer takes what the server sent and returns how much of it is used.
func (s *session) fromServer(p []byte, now int64) int {
	from, at := 0, 0 // p[from:at] is judged and to be passed on
	for !s.ending {
		if s.unjudged && s.answers.len() == 0 {
			at = len(p)
			break
		}
		rest := p[at:]
		if s.answers.len() > 0 { // they go in behind the first line that ends a response
			rest = rest[:nextLine(rest)]
		}
		n, event, line := s.responses.Next(rest)
		at += n
		if event == wire.ResponseTagged && s.watching != nil && s.waitsForLine(p[at:]) {
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

// respond acts on the line of the server at p[at], which means something, and returns from where p is still to be passed on.
func (s *session) respond(p []byte, from, at int, event wire.ResponseEvent, line wire.ResponseLine, now int64) int {
	switch event {
	case wire.ResponseTagged:
		c := s.tracker.find(p[at : at+line.TagLen])
		if c == nil || s.refusing && c == s.current {
			s.strayAnswer()
			return from
		}
		if s.signedInAgain(c, line.Status) {
			s.strayAnswer()
			return from
		}
		s.release(c)
		s.answered(c, Result(line.Status-wire.StatusOK), p, at, now)
	case wire.ResponseContinue:
		s.proceed(now)
	case wire.ResponseStatus:
		s.saidBye = s.saidBye || line.Status == wire.StatusBYE
	case wire.ResponseStray:
		s.strayAnswer()
		return from
	}
	switch {
	case line.TooLong:
		s.tracker.stats.LongCapabilities++
		if s.offers == OffersNone {
			s.offers = OffersUnknown
		}
	case line.Capabilities > 0:
		return s.filter(p, from, at, line.Capabilities)
	}
	return from
}

// signedInAgain says whether the server has just signed somebody in: then it had signed the user out before.
func (s *session) signedInAgain(c *command, status wire.Status) bool {
	return status == wire.StatusOK && (c.verb == wire.VerbLogin || c.verb == wire.VerbAuthenticate) && s.offers != OffersNone
}

// answered closes a command; see tell.
func (s *session) answered(c *command, r Result, p []byte, at int, now int64) {
	s.stopClock(c, r, now)
	if s.watching != nil {
		s.tell(c, r, p, at)
	}
	s.tracker.answered(c, r)
}

// stopClock is for a command that is over. It is remembered if it took long.
func (s *session) stopClock(c *command, r Result, now int64) {
	s.tracker.paid(c, now)
	if c.spent >= slowFloor {
		s.tracker.stats.noteSlow(c.verb, slowCommand{s.out.whose(), now, c.spent, r})
	}
}

// strayAnswer is for a line of the server that makes no sense. None of it is passed on yet: the client is still at a boundary.
func (s *session) strayAnswer() {
	s.responses = wire.ResponseScanner{}
	s.doubt()
}

// release ends what the client was waiting for, or its IDLE: what it sends next is a command of its own. A command that is
// answered before its last byte goes on being sent.
func (s *session) release(c *command) {
	if c != s.current {
		return
	}
	if s.waits || s.commands.AtLineStart() {
		s.commands.CancelLiteral()
	}
	s.current, s.waits = nil, false
}

// proceed lets the client go on behind the server's "+". Where that comes while a line is still being sent, the client may go on behind
// the line: Dovecot says "+" at the CR of IDLE. A "+" that nobody asks for means nothing.
func (s *session) proceed(now int64) {
	c := s.current
	if s.early = !s.waits && c != nil; !s.waits {
		return
	}
	s.waits = false
	s.tracker.paid(c, now)
	if s.commands.AtLineStart() {
		s.commands.ExpectLine()
		s.tracker.idle(c, c.verb == wire.VerbIdle)
	}
}

// filter writes the capability list of size bytes at p[at] without the hidden names, and what stands before it. It returns from
// where p is still to be written.
func (s *session) filter(p []byte, from, at, size int) int {
	filtered, offered := wire.AppendFilteredCapabilities(nil, p[at:at+size])
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

// doubt is for a conversation that makes no sense: from here on it is carried unjudged, or ended where something might slip
// past an interception. Answers of ours that still wait for a place get it.
func (s *session) doubt() {
	if s.offers != OffersNone {
		s.end(ReasonDoubt)
		return
	}
	s.unjudged = true
	s.tracker.stats.Unjudged++
	for c := s.tracker.first; c != nil; c = c.next {
		if s.watching != nil {
			s.tell(c, ResultAborted, nil, ours)
		}
	}
	s.current, s.waits, s.refusing = nil, false, false
	s.tracker.clear()
}

// end asks the driver to end the session.
func (s *session) end(r Reason) {
	if !s.ending {
		s.ending, s.reason = true, r
	}
}

// atServerBoundary says whether a line of ours may be sent to the client here.
func (s *session) atServerBoundary() bool { return !s.unjudged && s.responses.AtLineStart() }

// sendAnswers sends our own lines, if here is a place for them.
func (s *session) sendAnswers() {
	if s.answers.len() > 0 && s.responses.AtLineStart() {
		s.out.toClient(s.answers.bytes())
		s.answers.drop()
	}
}

// farewell returns the line to say when the session ends for a reason other than the server's BYE. It is false where a line
// can not be said because the client is in the middle of one.
func (s *session) farewell(r Reason) (string, bool) {
	switch {
	case s.saidBye, s.unjudged && (r == ReasonLogout || r == ReasonClient):
		return "", true
	case !s.atServerBoundary():
		return "", false
	}
	switch r {
	case ReasonServer:
		return byeServerGone, true
	case ReasonIdle:
		return byeIdle, true
	case ReasonMoved:
		return byeMoved, true
	case ReasonKicked:
		return byeKicked, true
	case ReasonDrain, ReasonMaintenance, ReasonClosed:
		return byeDrain, true
	case ReasonDoubt:
		return byeDoubt, true
	}
	return "", true
}

// ended tells the watcher.
func (s *session) ended(e Ending) {
	if s.watching != nil {
		s.watching.to.Ended(e)
	}
}

// over releases what the session holds in its loop's tables.
func (s *session) over(now int64) {
	if s.unjudged {
		s.tracker.stats.Unjudged--
	}
	s.abort(now)
}

// abort closes the open commands: the mailbox server is gone.
func (s *session) abort(now int64) {
	for c := s.tracker.first; c != nil; c = c.next {
		s.stopClock(c, ResultAborted, now)
		if s.watching != nil {
			s.tell(c, ResultAborted, nil, ours)
		}
	}
	s.tracker.clear()
	s.current, s.waits = nil, false
}

// nextLine returns the length of p's first line, or of p.
func nextLine(p []byte) int {
	if eol := bytes.IndexByte(p, '\n'); eol >= 0 {
		return eol + 1
	}
	return len(p)
}

// carried says what is known of the session for people.
func (s *session) carried(now int64, silent time.Duration) Carried {
	t := &s.tracker
	c := Carried{Owner: s.out.whose(), Commands: uint64(t.commands), Open: int(t.open), Silent: silent, Unjudged: s.unjudged}
	if t.first != nil {
		c.Idling = t.open == 1 && t.first.idling
		if t.first.since != 0 {
			c.Oldest = time.Duration(t.spent(t.first, now))
		}
	}
	return c
}
