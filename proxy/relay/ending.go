package relay

// The policy of how a session ends, for event loops and pumps: when it ends and why (next), and what the client gets
// then (farewell). If the mailbox server dies in the middle of a line or a literal, the client gets a reset. The
// functions do no I/O, know no clock and change nothing; the drivers act on their results.

// phase is how far the end of a session has come. It only moves forward.
type phase uint8

const (
	phaseCarrying  phase = iota
	phaseParting         // the mailbox server is closed; the client's last bytes are being sent
	phaseLingering       // all is sent; the client has to close
	phaseResetting       // the stream was cut; the client's connection is reset once the last bytes have arrived
	phaseClosed
)

// drainStage is which sessions a draining relay ends.
type drainStage uint8

const (
	drainNone  drainStage = iota
	drainQuiet            // those without an open command
	drainAll              // all of them: the deadline has passed
)

// circumstances are what a driver knows about the two ends of a session that it carries.
type circumstances struct {
	client, server readState
	clientHeld     bool // bytes of the client were read and are not used yet
	serverHeld     bool // the same of the mailbox server
	stalled        bool // clientHeld waits for the server
	stuck          bool // the client may not be read now
	unsent         bool // bytes wait that the mailbox server does not take
	halfClosed     bool // the client's end of stream was forwarded to the mailbox server
	drain          drainStage
}

// endStep is what a driver must do next to end a session.
type endStep uint8

const (
	stepNone      endStep = iota
	stepDrop              // close both ends: the client is gone
	stepFinish            // send the farewell and close
	stepPassEOF           // forward the client's held bytes and its end of stream, and limit the time
	stepLimitTime         // limit the time that a client has after its end of stream, unless it is limited already
)

// nextStep returns the step for a session that is being carried, and the reason if the step ends the session. A failed
// client comes first, then an end that the session itself has decided. The mailbox server's end comes before a drain,
// because the client must learn of it.
func (s *session) nextStep(c circumstances) (endStep, Reason) {
	quiet := s.quiet(c.clientHeld)
	switch {
	case c.client == readFailed:
		return stepDrop, ReasonClient
	case s.ending:
		return stepFinish, s.reason
	case c.server.ended():
		return stepFinish, s.serverEndReason(c)
	case c.drain == drainAll, c.drain == drainQuiet && quiet:
		return stepFinish, ReasonDrain
	case c.client == readEOF && quiet && !c.unsent: // no answer is waited for
		return stepFinish, ReasonClient
	case c.client == readEOF && !c.halfClosed && !c.stalled:
		return stepPassEOF, 0
	case c.client == readEOF, c.client.hungUp() && c.stuck:
		return stepLimitTime, 0
	}
	return stepNone, 0
}

// quiet says whether the session can end without cutting anything.
func (s *session) quiet(clientHeld bool) bool {
	return !s.tracker.busy() && s.atClientBoundary() && !clientHeld && s.atServerBoundary()
}

// serverEndReason returns why a session ends when its mailbox server has closed or failed.
func (s *session) serverEndReason(c circumstances) Reason {
	switch {
	case s.saidBye, s.opaque && c.server == readEOF:
		return ReasonLogout
	case c.client == readEOF && s.atServerBoundary() && !c.serverHeld:
		return ReasonClient
	}
	return ReasonServer
}

// farewell is what the client gets at the end of its session.
type farewell struct {
	held bool   // first the mailbox server's held bytes, too few to know what they are
	line string // then this line of Portico
	next phase  // parting, or resetting if the stream is cut, so that a cut response cannot look complete
}

// farewell returns what the client gets when its session ends for a reason.
func (s *session) farewell(r Reason, serverHeld bool) farewell {
	line, whole := s.lastLine(r)
	f := farewell{line: line, next: phaseParting}
	if serverHeld && (r == ReasonServer || r == ReasonLogout) {
		f.held, f.line, whole = true, "", r == ReasonLogout
	}
	if !whole {
		f.next = phaseResetting
	}
	return f
}

// lastLine returns the line to send when a session ends for a reason, "" for none. whole is false if no line can be
// sent, because the server's last line or literal is incomplete.
func (s *session) lastLine(r Reason) (line string, whole bool) {
	switch {
	case s.saidBye, s.opaque && (r == ReasonLogout || r == ReasonClient):
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

// endingClient is what a driver knows about the client of a session that is ending.
type endingClient struct {
	reads       readState
	sentAll     bool // the kernel has taken the last bytes, with TLS's close_notify
	needNotWait bool // the driver need not wait for the client to close
	delivered   bool // the client's kernel has acknowledged all bytes
	late        bool // the deadline has passed
}

// mayClose says whether the driver closes the client of a session in this phase now.
func (p phase) mayClose(c endingClient) bool {
	switch {
	case c.late, c.reads == readFailed:
		return true
	case p == phaseParting: // no byte comes that would turn the close into a reset
		return c.sentAll && (c.reads == readEOF || c.needNotWait)
	case p == phaseLingering:
		return c.reads == readEOF
	case p == phaseResetting:
		return c.delivered
	}
	return p == phaseClosed
}
