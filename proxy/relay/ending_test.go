package relay

import (
	"slices"
	"testing"
)

// endingSession is a session that has reached a state.
func endingSession(offers Offers, says ...said) *bareSession {
	d := newBareSession(offers)
	for _, s := range says {
		d.say(s.who, crlf(s.text))
	}
	return d
}

// said is what one side says before.
type said struct {
	who  who
	text string
}

// sessionStates are states that a session may have when it ends.
var sessionStates = map[string]func() *bareSession{
	"new":          func() *bareSession { return endingSession(OffersNone) },
	"open command": func() *bareSession { return endingSession(OffersNone, said{clientSays, "a NOOP\n"}) },
	"in IDLE": func() *bareSession {
		return endingSession(OffersNone, said{clientSays, "a IDLE\n"}, said{serverSays, "+\n"})
	},
	"client's line":   func() *bareSession { return endingSession(OffersNone, said{clientSays, "a NOO"}) },
	"server's line":   func() *bareSession { return endingSession(OffersNone, said{serverSays, "* 1 FETCH (FLA"}) },
	"server's BYE":    func() *bareSession { return endingSession(OffersNone, said{serverSays, "* BYE\n"}) },
	"not followed":    func() *bareSession { return endingSession(OffersNone, said{serverSays, "\x16stray\n"}) },
	"ended by itself": func() *bareSession { return endingSession(OffersHidden, said{serverSays, "\x16stray\n"}) },
}

// eachCircumstance calls f for everything that a driver may say.
func eachCircumstance(f func(circumstances)) {
	for _, client := range readStates {
		for _, server := range readStates {
			for drain := drainNone; drain <= drainAll; drain++ {
				for bits := range 1 << 6 {
					has := func(bit int) bool { return bits>>bit&1 == 1 }
					f(circumstances{
						client: client, server: server, drain: drain, clientHeld: has(0), serverHeld: has(1),
						stalled: has(2), stuck: has(3), unsent: has(4), halfClosed: has(5),
					})
				}
			}
		}
	}
}

// In all circumstances: what a session's end must and must not do.
func TestNextStep(t *testing.T) {
	for name, open := range sessionStates {
		d := open()
		before, said := d.session, d.client.Len()+d.server.Len()
		eachCircumstance(func(c circumstances) {
			step, reason := d.nextStep(c)
			quiet := d.quiet(c.clientHeld)
			wrong := ""
			switch {
			case (step == stepDrop) != (c.client == readFailed):
				wrong = "only a client that has failed is dropped, and always"
			case step == stepDrop && reason != ReasonClient:
				wrong = "a client that has failed is the reason"
			case step == stepDrop:
			case d.ending && (step != stepFinish || reason != d.reason):
				wrong = "a session that has ended by itself ends for its own reason"
			case d.ending:
			case c.server.ended() && step != stepFinish:
				wrong = "no session lives without its mailbox server"
			case reason == ReasonServer && (!c.server.ended() || d.saidBye):
				wrong = "a server that lives, or has said BYE, is blamed"
			case reason == ReasonDrain && (c.drain == drainNone || c.server.ended()):
				wrong = "nothing is drained"
			case c.drain == drainAll && step != stepFinish:
				wrong = "a session survives the deadline of a drain"
			case c.drain == drainQuiet && quiet && step != stepFinish:
				wrong = "a quiet session survives a drain"
			case step == stepFinish && !quiet && !c.server.ended() && c.drain != drainAll:
				wrong = "something is cut though nobody has gone"
			case step == stepPassEOF && (c.client != readEOF || c.halfClosed || c.stalled):
				wrong = "the client's end is passed on too early, or twice"
			case step == stepNone && c.client == readEOF, step == stepNone && c.client.hungUp() && c.stuck:
				wrong = "nothing bounds the time of a client that has gone"
			case step == stepLimitTime && !c.client.hungUp():
				wrong = "the time of a client that is there is bounded"
			}
			if wrong != "" {
				t.Fatalf("%s, %+v: step %d for %v: %s", name, c, step, reason, wrong)
			}
		})
		if d.ending != before.ending || d.reason != before.reason || d.tracker.open != before.tracker.open ||
			d.client.Len()+d.server.Len() != said {
			t.Errorf("%s: asking for the next step has changed the session", name)
		}
	}
}

func TestServerGone(t *testing.T) {
	for name, want := range map[string][3]Reason{ // closes; closes behind the client's end; fails
		"new":             {ReasonServer, ReasonClient, ReasonServer},
		"open command":    {ReasonServer, ReasonClient, ReasonServer},
		"server's line":   {ReasonServer, ReasonServer, ReasonServer},
		"server's BYE":    {ReasonLogout, ReasonLogout, ReasonLogout},
		"not followed":    {ReasonLogout, ReasonLogout, ReasonServer},
		"ended by itself": {ReasonDoubt, ReasonDoubt, ReasonDoubt},
	} {
		d := sessionStates[name]()
		for i, c := range []circumstances{{server: readEOF}, {server: readEOF, client: readEOF}, {server: readFailed}} {
			if _, got := d.nextStep(c); got != want[i] {
				t.Errorf("%s, %+v: %v, want %v", name, c, got, want[i])
			}
		}
	}
}

// The client is told only where a line may begin, and what is cut never ends in order.
func TestFarewell(t *testing.T) {
	cut := []string{"server's line", "not followed"}
	for name, open := range sessionStates {
		for r := range numReasons {
			for _, held := range []bool{false, true} {
				d := open()
				f := d.farewell(r, held)
				serverEnded := r == ReasonServer || r == ReasonLogout
				whole := d.saidBye || !slices.Contains(cut, name) ||
					d.opaque && (r == ReasonLogout || r == ReasonClient)
				if held && serverEnded {
					whole = r == ReasonLogout
				}
				switch {
				case f.held != (held && serverEnded):
					t.Errorf("%s, %v, held %v: the server's bytes are passed on: %v", name, r, held, f.held)
				case (f.next == phaseParting) != whole || f.next != phaseParting && f.next != phaseResetting:
					t.Errorf("%s, %v, held %v: phase %d, whole %v", name, r, held, f.next, whole)
				case f.line != "" && (!whole || f.held || d.saidBye || d.opaque):
					t.Errorf("%s, %v, held %v: says %q", name, r, held, f.line)
				}
			}
		}
	}
}

func TestPhaseOver(t *testing.T) {
	tests := []struct {
		phase phase
		c     endingClient
		want  bool
	}{
		{phaseParting, endingClient{}, false},
		{phaseParting, endingClient{sentAll: true}, false},
		{phaseParting, endingClient{reads: readEOF}, false},
		{phaseParting, endingClient{needNotWait: true}, false},
		{phaseParting, endingClient{sentAll: true, reads: readEOF}, true},
		{phaseParting, endingClient{sentAll: true, needNotWait: true}, true},
		{phaseLingering, endingClient{sentAll: true, needNotWait: true}, false},
		{phaseLingering, endingClient{reads: readEOF}, true},
		{phaseResetting, endingClient{sentAll: true, reads: readEOF}, false},
		{phaseResetting, endingClient{delivered: true}, true},
	}
	for _, test := range tests {
		if got := test.phase.mayClose(test.c); got != test.want {
			t.Errorf("phase %d, %+v: over %v", test.phase, test.c, got)
		}
		for _, c := range []endingClient{{late: true}, {reads: readFailed}} {
			if !test.phase.mayClose(c) {
				t.Errorf("phase %d, %+v: it goes on", test.phase, c)
			}
		}
	}
}
