package bench

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// withWarmUp adds a warm-up of 5 s to a run of 10 s.
func withWarmUp(o *Options) { o.WarmUp = 5 * time.Second }

// TestWarmUpCountsInNothing: a server that is slow, wrong or silent in the warm-up alone leaves no trace in the
// figures.
func TestWarmUpCountsInNothing(t *testing.T) {
	early := func(do func(a *answer)) *liar {
		return &liar{answer: func(a *answer) {
			if a.isTagged() && a.tagged > 1 && a.before(4950*time.Millisecond) { // the first answers LOGIN
				do(a)
				return
			}
			a.pass()
		}}
	}
	for _, c := range []struct {
		name   string
		liar   *liar
		change func(*Options)
		warm   string // outcomes of operations in the warm-up
		errors uint64 // in the warm-up
	}{
		{"honest", &liar{}, nil, "50 done", 0},
		{"slow", early(func(a *answer) { time.Sleep(90 * time.Millisecond); a.pass() }), nil, "50 done", 0},
		{"refuses", early(func(a *answer) { a.say(a.hasTag() + " NO not yet\r\n") }), nil, "0 done, 50 refused", 50},
		{"closed loop", early(func(a *answer) { time.Sleep(time.Second); a.pass() }), func(o *Options) {
			o.Closed, o.Rate = true, 0
			o.Sessions = 1
		}, "5 done", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			slow := c.liar.answer
			if c.name == "closed loop" { // which would never end if answers took no time
				c.liar.answer = func(a *answer) { time.Sleep(50 * time.Millisecond); slow(a) }
			}
			r := runLied(t, c.liar, func(o *Options) {
				withWarmUp(o)
				if c.change != nil {
					c.change(o)
				}
			})
			checkSums(t, r)
			whole := r.rowOf("noop, whole")
			if got := r.WarmUp; got == nil || got.Seconds != 5 || got.Errors != c.errors ||
				got.Operations.String() != c.warm {
				t.Errorf("warm-up: %+v", r.WarmUp)
			}
			if !r.Fine() || r.Seconds != 10 || r.Totals.OperationOutcomes.Bad() > 0 || whole.Max > 60_000 ||
				!r.Setup.Closed && whole.Count != 100 {
				t.Errorf("the measured time is not clean:\n%s", table(r))
			}
			if first := r.Series[0]; first.At > -4 {
				t.Errorf("the series begins at %v s", first.At)
			}
			if t.Failed() {
				t.Log(table(r))
			}
		})
	}
}

// TestHungSinceTheWarmUp: a server that stops to answer in the warm-up fails the run, in a closed loop too.
func TestHungSinceTheWarmUp(t *testing.T) {
	for _, closed := range []bool{false, true} {
		l := &liar{answer: func(a *answer) {
			if a.conn == 1 && a.tagged == 10 {
				*a.mute = true
				return
			}
			time.Sleep(50 * time.Millisecond)
			a.pass()
		}}
		r := runLied(t, l, func(o *Options) {
			withWarmUp(o)
			o.Sessions, o.Timeout = 2, 7*time.Second
			if o.Closed = closed; closed {
				o.Rate = 0
			}
		})
		if r.Fine() || r.errorsOf(KindTimeout).Count != 1 || r.Totals.Operations == 0 {
			t.Errorf("closed: %v\n%s", closed, table(r))
		}
	}
}

// TestInterruptedWarmUp: nothing was measured, and the report says so.
func TestInterruptedWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		server := &stallingServer{}
		r, err := Run(ctx, Options{
			Targets: []Target{{Name: "good"}}, Users: someUsers(1), Profile: builtInProfile(t, "noop"),
			Dial: server.dial, Sessions: 1, Rate: 10, WarmUp: 5 * time.Second, Duration: time.Hour,
		})
		if err != nil || r.Fine() || r.Seconds != 0 || r.Totals.OperationOutcomes.All != 0 ||
			r.errorsOf(KindNothing).Count != 1 {
			t.Errorf("%v\n%s", err, table(r))
		}
	})
}
