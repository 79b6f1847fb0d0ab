package relay

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"portico/backend/backendtest/testkit"
)

// cpuOf returns how much CPU a loop's thread has used so far.
func cpuOf(t testing.TB, r Relay) (used time.Duration) {
	t.Helper()
	inside(t, r, func(*loop) {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
			t.Error(err)
		}
		used = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	})
	return used
}

// An end that is not read, or has nothing to be read, must not wake its loop over and over.
func TestAPausedEndDoesNotSpin(t *testing.T) { eachLoop(t, aPausedEndDoesNotSpin) }

func aPausedEndDoesNotSpin(t *testing.T, d driver) {
	jam := func(r *rig, tk *talk) {
		tk.server.say("* 1 FETCH (BODY[] {20000000}\n")
		go tk.server.sends(flow{20000000, 1})
		r.waitStalled()
	}
	tests := map[string]func(*rig, *talk){
		"the client does not read": jam,
		"the client does not read and writes": func(r *rig, tk *talk) {
			jam(r, tk)
			tk.client.say("a NOOP\n")
			tk.server.hears("a NOOP\n")
		},
		"the client does not read and has closed its side": func(r *rig, tk *talk) {
			jam(r, tk)
			tk.client.halfClose()
		},
		"the client does not read and the server is gone": func(r *rig, tk *talk) {
			jam(r, tk)
			tk.server.reset()
		},
		"the server does not read and the client goes on": func(r *rig, tk *talk) {
			tk.client.say("a APPEND x {20000000+}\n")
			go tk.client.sends(flow{20000000, 1})
			r.waitStalled()
			tk.server.say("* 1 EXISTS\n")
			tk.client.hears("* 1 EXISTS\n")
		},
		"the server does not read and has closed its side": func(r *rig, tk *talk) {
			tk.client.say("a APPEND x {20000000+}\n")
			go tk.client.sends(flow{20000000, 1})
			r.waitStalled()
			tk.server.halfClose()
		},
		"the client waits for the server and says more": func(r *rig, tk *talk) {
			tk.client.say("a IDLE\nb NOOP\n")
			tk.server.hears("a IDLE\n")
			tk.client.say("c NOOP\n")
		},
		"the client waits for the server and is gone": func(r *rig, tk *talk) {
			tk.client.say("a IDLE\nb NOOP\n")
			tk.server.hears("a IDLE\n")
			tk.client.say("c NOOP\n")
			tk.client.reset()
		},
		"the client has closed its side": func(r *rig, tk *talk) {
			tk.client.say("a NOOP\n")
			tk.client.halfClose()
			tk.server.hears("a NOOP\n")
			tk.server.hearsEnd()
		},
		"the client has closed its side and is gone": func(r *rig, tk *talk) {
			tk.client.halfClose()
			tk.server.hearsEnd()
			tk.client.reset()
		},
		"the client does not take its BYE": func(r *rig, tk *talk) {
			jam(r, tk)
			r.drain(0)
		},
		"the client does not close": func(r *rig, tk *talk) {
			tk.server.Close()
			tk.client.hears("* BYE [UNAVAILABLE] The mailbox server closed the connection, please try again\n")
			tk.client.hearsEnd()
			tk.client.say("a NOOP\n")
		},
	}
	testkit.NoLeaks(t)
	rigs := make(map[string]*rig)
	t.Run("on", func(t *testing.T) {
		for name, prepare := range tests {
			for _, w := range []ways{{false, false}, {true, true}} {
				r := newRig(t, d, Options{}, w)
				prepare(r, r.start(tight))
				rigs[name+", "+w.String()] = r
			}
		}
		for name, r := range rigs {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				before := cpuOf(t, r.relay)
				waitTicks(t, r.relay, 2)
				if used := cpuOf(t, r.relay) - before; used > tick/2 {
					t.Errorf("the loop has used %v in two ticks", used)
				}
			})
		}
	})
}

func TestAPanicEndsItsSessionAlone(t *testing.T) { eachLoop(t, aPanicEndsItsSessionAlone) }

func aPanicEndsItsSessionAlone(t *testing.T, d driver) {
	breakIt := map[string]func(*link){
		"once":                     func(l *link) { l.out = nil },
		"and again while it ends":  func(l *link) { l.out, l.tracker.first = nil, &command{verb: 255} },
		"and in the loop's tables": func(l *link) { l.tracker.stats = nil },
	}
	for name, f := range breakIt {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			for _, w := range allWays {
				panicsAlone(t, d, w, f)
			}
		})
	}
}

func panicsAlone(t *testing.T, d driver, w ways, breakIt func(*link)) {
	var panics panicNotes
	r, err := d.open(complete(Options{Panicked: panics.note}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rg := &rig{t: t, relay: r, ways: w}
	broken, other := rg.start(func(s *Session) { s.Server = "broken" }), rg.start()
	for _, tk := range []*talk{broken, other} {
		tk.client.say("a NOOP\n")
		tk.server.hears("a NOOP\n")
	}
	inside(t, r, func(lp *loop) {
		lp.links(func(l *link) {
			if l.tracker.stats.ServerStats == lp.stats.Server("broken") {
				breakIt(l)
			}
		})
	})
	broken.client.try(crlf("b NOOP\n"))
	broken.client.hearsCut()
	broken.server.rest()
	if e := broken.end(); e.Reason != ReasonError {
		t.Errorf("ended with %+v", e)
	}
	other.server.say("a OK\n")
	other.client.hears("a OK\n")
	if s := r.Stats(); s.Panics == 0 || s.Ended[ReasonError] != 1 {
		t.Errorf("%d panics, %d sessions ended by one", s.Panics, s.Ended[ReasonError])
	}
	panics.check(t, "relay.(*link).serve")
	other.client.Close()
	rg.drained(rg.drain(tick))
	if n := broken.endings.Load(); n != 1 {
		t.Errorf("told %d times that it is over", n)
	}
}

// Events that epoll reports may be for a place that has been given to another since.
func TestLateEventsAreForNobody(t *testing.T) { eachLoop(t, lateEventsAreForNobody) }

func lateEventsAreForNobody(t *testing.T, d driver) {
	r := newRig(t, d, Options{}, ways{})
	first := r.start()
	first.client.say("a NOOP\n")
	first.server.hears("a NOOP\n")
	var late []unix.EpollEvent
	inside(t, r.relay, func(lp *loop) {
		lp.links(func(l *link) {
			for _, e := range []*end{&l.client, &l.upstream} {
				late = append(late, unix.EpollEvent{
					Events: unix.EPOLLIN | unix.EPOLLHUP, Fd: e.slot, Pad: int32(lp.slots[e.slot].generation),
				})
			}
			l.close()
		})
	})
	first.end()
	second := r.start()
	second.client.say("a NOOP\n")
	second.server.hears("a NOOP\n")
	inside(t, r.relay, func(lp *loop) {
		lp.links(func(l *link) {
			if l.client.slot != late[0].Fd && l.client.slot != late[1].Fd {
				t.Error("the place is not used again: the test shows nothing")
			}
			l.client.setEvents(0) // would be found out if it were served
			l.client.reads = readFailed
		})
		for _, ev := range late {
			lp.dispatch(&ev)
		}
		if lp.sessions != 1 {
			t.Error("an event for another end has reached this one")
		}
		lp.links(func(l *link) { l.client.reads = readEmpty })
	})
}

// What is held has to be used up before more is read: it may fill the buffer alone.
func TestAClientIsNotReadWhileItsBytesAreHeld(t *testing.T) {
	eachLoop(t, aClientIsNotReadWhileItsBytesAreHeld)
}

func aClientIsNotReadWhileItsBytesAreHeld(t *testing.T, d driver) {
	r := newRig(t, d, Options{}, ways{})
	tk := r.start()
	commands := strings.Repeat("b NOOP\n", 100)
	tk.client.say("a IDLE\n" + commands)
	tk.server.hears("a IDLE\n")
	tk.client.say("c NOOP\n")
	r.waitStalled()
	inside(t, r.relay, func(lp *loop) {
		lp.links(func(l *link) {
			l.releaseClient(l.current) // as an answer does
			before := l.clientBytes
			if l.read(&l.client, 1); l.clientBytes != before {
				t.Errorf("%d bytes are read while others are held", l.clientBytes-before)
			}
			l.settle(1)
		})
	})
	tk.server.hears(commands + "c NOOP\n")
}

// epoll does not know of records that crypto/tls has read already.
func TestRecordsInsideTLSAreNotForgottenWhileTheOtherSidePauses(t *testing.T) {
	eachLoop(t, recordsInsideTLSAreNotForgottenWhileTheOtherSidePauses)
}

func recordsInsideTLSAreNotForgottenWhileTheOtherSidePauses(t *testing.T, d driver) {
	testkit.NoLeaks(t)
	r := newRig(t, d, Options{}, ways{true, true})
	for _, towardsClient := range []bool{true, false} {
		tk := r.start(tight)
		from, to, head := tk.server, tk.client, "* 1 FETCH (BODY[] {%}\n"
		if !towardsClient {
			from, to, head = tk.client, tk.server, "a APPEND x {%+}\n"
		}
		const records, size = 40000, 50
		from.say(headed(head, records*size))
		from.cork.in = true
		for range records {
			from.raw(string(make([]byte, size)))
		}
		sent := make(chan error, 1)
		go func() { sent <- from.cork.pull() }()
		r.waitStalled()
		to.hears(headed(head, records*size) + string(make([]byte, records*size)))
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
}
