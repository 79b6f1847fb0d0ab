package relay

import (
	"strings"
	"testing"
	"time"
)

func TestClientsHalfCloseIsPassedOnAndAnswersStillFlow(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start()
		tk.client.say("a FETCH 1 X\nb NOO")
		tk.client.halfClose()
		tk.server.hears("a FETCH 1 X\nb NOO")
		tk.server.hearsEnd()
		tk.server.say("* 1 FETCH (X 1)\n")
		tk.client.hears("* 1 FETCH (X 1)\n")
		tk.server.say("a OK\n")
		tk.server.Close()
		tk.client.hears("a OK\n")
		tk.client.hearsEnd()
		if e := tk.end(); e.Reason != ReasonClient {
			t.Errorf("ended with %+v", e)
		}
	})
}

// A client that is gone and waits for nothing has both connections closed at once, whatever the mailbox server does.
func TestAnIdleClientsEndIsTheSessionsEnd(t *testing.T) {
	for name, test := range map[string]struct{ says, answer string }{
		"before any command": {"", "* OK\n"},
		"all answered":       {"a NOOP\n", "* 1 EXISTS\na OK\n"},
		"in IDLE":            {"a IDLE\n", "+ idling\n* 1 EXISTS\n"},
	} {
		t.Run(name, func(t *testing.T) {
			eachWayWith(t, Options{LingerTimeout: time.Hour}, func(t *testing.T, r *rig) {
				tk := r.start()
				tk.client.say(test.says)
				tk.server.hears(test.says)
				tk.server.say(test.answer)
				tk.client.hears(test.answer)
				tk.client.halfClose()
				tk.server.hearsEnd()
				tk.client.hearsEnd()
				if e := tk.end(); e.Reason != ReasonClient {
					t.Errorf("ended with %+v", e)
				}
			})
		})
	}
}

// What is not understood may still be answered.
func TestAnOpaqueClientsEndIsPassedOn(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start()
		tk.client.say("a NOOP\n")
		tk.server.hears("a NOOP\n")
		tk.server.say("zz OK\n")
		tk.client.hears("zz OK\n")
		tk.client.halfClose()
		tk.server.hearsEnd()
		tk.server.say("* 1 EXISTS\n")
		tk.client.hears("* 1 EXISTS\n")
		tk.server.Close()
		tk.client.hearsEnd()
	})
}

func TestHeldBytesGoOnBehindTheClientsEnd(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start()
		tk.client.say("a IDLE\nb NOOP\nc COMPRESS DEFLATE\nd NOO")
		tk.client.halfClose()
		tk.server.hears("a IDLE\n")
		tk.server.say("a NO no\n")
		tk.server.hears("b NOOP\nd NOO")
		tk.server.hearsEnd()
		tk.client.hears("a NO no\nc" + refusedCompress)
		tk.server.say("* BYE\n")
		tk.server.Close()
		tk.client.hears("* BYE\n")
		tk.client.hearsEnd()
	})
}

func TestAHalfClosedSessionEnds(t *testing.T) {
	tests := map[string]struct{ says, answer string }{
		"with nothing to answer":        {"a NOOP\n", "a OK\n"},
		"with an answer outstanding":    {"a NOOP\n", ""},
		"with the answer cut in a line": {"a NOOP\n", "* 1 FET"},
	}
	eachWayWith(t, Options{LingerTimeout: 200 * time.Millisecond}, func(t *testing.T, r *rig) {
		talks := make(map[string]*talk)
		for name, test := range tests {
			tk := r.start()
			talks[name] = tk
			tk.client.say(test.says)
			tk.server.hears(test.says)
			tk.server.say(test.answer)
			tk.client.hears(test.answer) // before the time begins that it has
			tk.client.halfClose()
		}
		for name, test := range tests {
			tk := talks[name]
			if strings.HasSuffix(test.answer, "FET") {
				tk.client.hearsCut()
			} else {
				tk.client.hearsEnd()
			}
			tk.server.rest()
			if e := tk.end(); e.Reason != ReasonClient {
				t.Errorf("%s: ended with %+v", name, e)
			}
		}
	})
}

func TestAClientThatIsResetTakesTheServersEndAlong(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start()
		tk.client.say("a NOOP\nb APPEND x {100+}\n")
		tk.server.hears("a NOOP\nb APPEND x {100+}\n")
		tk.client.reset()
		tk.server.rest()
		if e := tk.end(); e.Reason != ReasonClient {
			t.Errorf("ended with %+v", e)
		}
	})
}

func TestWhatADyingServerSaidIsDelivered(t *testing.T) {
	const bye = "* BYE [UNAVAILABLE] The mailbox server closed the connection, please try again\n"
	tests := []struct {
		name, says, adds string
		cut              bool
		reason           Reason
	}{
		{"nothing", "", bye, false, ReasonServer},
		{"whole lines", "* 1 EXISTS\na OK\n", bye, false, ReasonServer},
		{"a literal, whole", "* 1 FETCH (BODY[] {4}\nabcd)\n", bye, false, ReasonServer},
		{"part of a line", "* 1 EXISTS\n* 1 FETCH (FLA", "", true, ReasonServer},
		{"part of a literal", "* 1 FETCH (BODY[] {10}\n12345", "", true, ReasonServer},
		{"none of a literal", "* 1 FETCH (BODY[] {10}\n", "", true, ReasonServer},
		{"a literal but not its line", "* 1 FETCH (BODY[] {4}\nabcd", "", true, ReasonServer},
		{"a CR", "* 1 EXISTS\r", "", true, ReasonServer},
		{"an undecided head", "* 1 EXISTS\n* O", "", true, ReasonServer},
		{"part of a tag", "a", "", true, ReasonServer},
		{"part of a continuation", "+ go", "", true, ReasonServer},
		{"part of a capability list", "* CAPABILITY IMAP4rev1 IDL", "", true, ReasonServer},
		{"BYE", "* BYE later\n", "", false, ReasonLogout},
		{"BYE and more", "* BYE later\na OK\n", "", false, ReasonLogout},
		{"BYE and an undecided head", "* BYE later\na O", "", false, ReasonLogout},
	}
	dies := map[string]func(*peer){"closes": func(p *peer) { p.Close() }, "resets": (*peer).reset,
		"fails": func(p *peer) { p.tcp.Close() }}
	for name, die := range dies {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, r *rig) {
				talks := make([]*talk, len(tests))
				for i, test := range tests {
					tk := r.start()
					talks[i] = tk
					tk.client.say("a NOOP\n")
					tk.server.hears("a NOOP\n")
					tk.server.say(test.says)
					die(tk.server)
				}
				for i, test := range tests {
					tk := talks[i]
					tk.client.hears(test.says + test.adds)
					if test.cut {
						tk.client.hearsCut()
					} else {
						tk.client.hearsEnd()
						tk.client.Close()
					}
					if e := tk.end(); e.Reason != test.reason {
						t.Errorf("%s: ended with %+v, want %v", test.name, e, test.reason)
					}
				}
			})
		})
	}
}

func TestPendingBytesAreDeliveredBeforeTheEnd(t *testing.T) {
	data := strings.Repeat("* 1 FETCH (BODY[] {4}\nabcd)\n", 40000)
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start(tight)
		said := make(chan error, 1)
		go func() {
			err := tk.server.try(crlf(data))
			tk.server.Close()
			said <- err
		}()
		r.waitStalled()
		tk.client.hears(data + "* BYE [UNAVAILABLE] The mailbox server closed the connection, please try again\n")
		tk.client.hearsEnd()
		if err := <-said; err != nil {
			t.Error(err)
		}
	})
}

func TestPendingBytesAreDeliveredBeforeACut(t *testing.T) {
	data := "* 1 FETCH (BODY[] {2000000}\n" + strings.Repeat("x", 1000000)
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start(tight)
		go func() {
			tk.server.try(crlf(data))
			tk.server.Close()
		}()
		r.waitStalled()
		tk.client.hears(data)
		tk.client.hearsCut()
	})
}

func TestALogoutLeavesNothingBehind(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start()
		tk.client.say("a LOGOUT\n")
		tk.server.hears("a LOGOUT\n")
		tk.server.say("* BYE\na OK\n")
		tk.server.Close()
		tk.client.hears("* BYE\na OK\n")
		tk.client.hearsEnd()
		tk.client.Close()
		if e := tk.end(); e.Reason != ReasonLogout || e.Commands != 1 {
			t.Errorf("ended with %+v", e)
		}
	})
}
