package relay

import (
	"sync"
	"testing"

	"portico/backend/backendtest/testkit"
)

// When End returns, no picked session has a connection to its mailbox server.
func TestEndReturnsWithoutConnectionsToServers(t *testing.T) {
	testkit.NoLeaks(t)
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			r := newRig(t, d, Options{Loops: 2}, ways{})
			var gone []*talk
			for range 8 {
				tk := r.start(of("bob"))
				tk.client.say("a NOOP\n")
				tk.server.hears("a NOOP\n")
				gone = append(gone, tk)
			}
			other := r.start()
			r.relay.End(func(o Owner) bool { return o.User() == "bob" }, ReasonKicked, 0)
			for i, tk := range gone {
				if fd := findSocketTo(t, tk.server.tcp.LocalAddr()); fd >= 0 {
					t.Errorf("session %d still has its server when End returned", i)
				}
			}
			if findSocketTo(t, other.server.tcp.LocalAddr()) < 0 {
				t.Error("a session that was not picked has lost its server")
			}
		})
	}
}

// Many sessions are ended some at each tick, and End returns behind the last.
func TestEndOfManyIsSpreadOverTime(t *testing.T) { eachLoop(t, endOfManyIsSpreadOverTime) }

func endOfManyIsSpreadOverTime(t *testing.T, d driver) {
	testkit.NoLeaks(t)
	r := newRig(t, d, Options{}, ways{})
	const many, ticks, perTick = 48, 10, 5
	talks := make([]*talk, many)
	for i := range talks {
		talks[i] = r.start()
		talks[i].answers()
	}
	left := func(lp *loop) (n int) {
		lp.links(func(l *link) {
			if l.phase == phaseCarrying {
				n++
			}
		})
		return n
	}
	done := make(chan struct{})
	inside(t, r.relay, func(lp *loop) {
		lp.beginEnd(func(Owner) bool { return true }, ReasonKicked, ticks*tick, done)
		for want := many - perTick; want > 0; want -= perTick {
			select {
			case <-done:
				t.Error("done before the last has ended")
			default:
			}
			if n := left(lp); n != want {
				t.Errorf("%d of %d are left, want %d", n, many, want)
			}
			lp.endSome(lp.opts.Now()) // what the next tick does
		}
		if n := left(lp); n != 0 || len(lp.endRequests) != 0 {
			t.Errorf("%d are left, %d choices", n, len(lp.endRequests))
		}
	})
	<-done
	for _, tk := range talks {
		if e := tk.kicked(); e.Reason != ReasonKicked {
			t.Errorf("ended with %+v", e)
		}
	}
}

// End spreads the ends over the time it is given, on the loop's own ticks.
func TestEndSpreadsOverItsTime(t *testing.T) { eachLoop(t, endSpreadsOverItsTime) }

func endSpreadsOverItsTime(t *testing.T, d driver) {
	testkit.NoLeaks(t)
	r := newRig(t, d, Options{}, ways{})
	const many = 40
	talks := make([]*talk, many)
	for i := range talks {
		talks[i] = r.start()
		talks[i].answers()
	}
	lp := r.relay.(*Loops).loops[0]
	var once sync.Once
	left := make(chan int, 1)
	count := func() {
		n := 0
		lp.links(func(l *link) {
			if l.phase == phaseCarrying {
				n++
			}
		})
		left <- n
	}
	r.relay.End(func(Owner) bool {
		once.Do(func() { lp.post(count) }) // behind the first ends, and at most a few ticks
		return true
	}, ReasonKicked, 20*tick)
	if n := <-left; n == 0 || n >= many {
		t.Errorf("%d of %d sessions were left at first", n, many)
	}
	for _, tk := range talks {
		if e := tk.kicked(); e.Reason != ReasonKicked {
			t.Errorf("ended with %+v", e)
		}
	}
}

// kicked checks what the client hears, closes it and returns the ending.
func (tk *talk) kicked() Ending {
	tk.t.Helper()
	tk.client.hears(lfs(byeKicked))
	tk.client.hearsEnd()
	tk.client.Close()
	return tk.end()
}
