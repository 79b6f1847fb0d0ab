package relay

// How a session ends is decided here, for event loops and pumps alike. The decisions depend on the session and on what
// the driver says of its two ends; they do no I/O, know no clock and change nothing. What follows from them is done by
// the drivers, each in its own way.

// phase is how far a session is in its life. It only moves forward.
type phase uint8

const (
	carrying  phase = iota
	parting         // the client's last bytes are being sent; the mailbox server is closed
	lingering       // all is sent, and we wait for the client to close
	resetting       // the stream was cut: when the last bytes have arrived, the client is reset
	closed
)

// drainStage is which sessions a draining relay ends.
type drainStage uint8

const (
	drainNone  drainStage = iota
	drainQuiet            // those without an open command
	drainAll              // all of them: the deadline has passed
)

// circumstances are what a driver knows of a session that it carries.
type circumstances struct {
	client, server readState
	clientHeld     bool // bytes of the client are read and not used
	serverHeld     bool // the same of the mailbox server
	stalled        bool // clientHeld waits for the server
	stuck          bool // the client may not be read now
	unsent         bool // bytes wait that the mailbox server does not take
	halfClosed     bool // the mailbox server has been told that the client has ended its stream
	drain          drainStage
}

// endStep is what a driver has to do next about a session's end.
type endStep uint8

const (
	stepNone    endStep = iota
	stepDrop            // close both ends: the client is gone
	stepFinish          // say the farewell and close
	stepPassEnd         // pass the client's end of stream on, behind what is held of the client, and bound the time
	stepBound           // bound the time that is left to a client that has ended its stream, unless it is bounded
)

// next returns the step to take for a session that is being carried, and why it ends if the step ends it. A fault of
// the client comes first, then what the session has decided by itself. The mailbox server's end comes before a drain,
// as the client has to know of it.
func (s *session) next(c circumstances) (endStep, Reason) {
	quiet := s.quiet(c.clientHeld)
	switch {
	case c.client == readFailed:
		return stepDrop, ReasonClient
	case s.ending:
		return stepFinish, s.reason
	case c.server.ended():
		return stepFinish, s.serverGone(c)
	case c.drain == drainAll, c.drain == drainQuiet && quiet:
		return stepFinish, ReasonDrain
	case c.client == readEOF && quiet && !c.unsent: // no answer is waited for
		return stepFinish, ReasonClient
	case c.client == readEOF && !c.halfClosed && !c.stalled:
		return stepPassEnd, 0
	case c.client == readEOF, c.client.hungUp() && c.stuck:
		return stepBound, 0
	}
	return stepNone, 0
}

// quiet says whether the session may be ended without cutting anything.
func (s *session) quiet(clientHeld bool) bool {
	return !s.tracker.busy() && s.atClientBoundary() && !clientHeld && s.atServerBoundary()
}

// serverGone says why a session ends whose mailbox server has closed or failed.
func (s *session) serverGone(c circumstances) Reason {
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
	held bool   // what is held of the mailbox server: too few bytes to know what they are
	line string // and then this line of ours
	next phase  // parting, or resetting where the stream is cut, so that nothing cut passes for whole
}

// farewell returns what the client gets when its session ends for a reason.
func (s *session) farewell(r Reason, serverHeld bool) farewell {
	line, whole := s.lastLine(r)
	f := farewell{line: line, next: parting}
	if serverHeld && (r == ReasonServer || r == ReasonLogout) {
		f.held, f.line, whole = true, "", r == ReasonLogout
	}
	if !whole {
		f.next = resetting
	}
	return f
}

// lastLine returns the line to say when the session ends for a reason other than the server's BYE. It is false where a
// line can not be said because the client is in the middle of one.
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

// parted is what a driver knows of the client of a session that is ending.
type parted struct {
	client    readState
	sent      bool // the kernel has taken the last bytes, TLS's close_notify among them
	leaves    bool // the client does not have to be waited for
	delivered bool // the client's kernel has acknowledged all bytes
	late      bool // the time for all this is over
}

// over says whether the client of a session in this phase is closed now.
func (p phase) over(c parted) bool {
	switch {
	case c.late, c.client == readFailed:
		return true
	case p == parting: // nothing comes that would turn the close into a reset
		return c.sent && (c.client == readEOF || c.leaves)
	case p == lingering:
		return c.client == readEOF
	case p == resetting:
		return c.delivered
	}
	return p == closed
}
