package bench

import (
	"context"
	"strings"
	"testing"
	"time"
)

// later does something after a while.
func (a *answer) later(d time.Duration, do func()) { time.AfterFunc(d, do) }

// rarely has two operations in ten seconds.
func rarely(o *Options) { o.Rate = 0.2 }

// rareProfile takes another profile, with two operations in ten seconds.
func rareProfile(t *testing.T, name string) func(*Options) {
	return func(o *Options) {
		withProfile(t, name)(o)
		rarely(o)
	}
}

// endTruths are about sessions that the server ends, and about answers that come too early or too late.
func endTruths(t *testing.T) []truth {
	answers := func(do func(a *answer)) *liar { return &liar{answer: do} }
	after := func(n int, do func(a *answer)) *liar {
		return answers(func(a *answer) {
			a.pass()
			if a.conn == 1 && a.isOf(n) {
				a.later(300*time.Millisecond, func() { do(a) })
			}
		})
	}
	return []truth{
		{"BYE while the session waits", after(2, func(a *answer) { a.say("* BYE idle\r\n"); a.close() }), rarely,
			"2 done", KindDropped, "says BYE: idle"},
		{"BYE while the session waits, and open", after(2, func(a *answer) { a.say("* BYE idle\r\n") }), rarely,
			"2 done", KindDropped, "says BYE: idle"},
		{"closes while the session waits", after(2, func(a *answer) { a.close() }), rarely,
			"2 done", KindDropped, "closed the connection"},
		{"BYE in the ramp", after(1, func(a *answer) { a.say("* BYE idle\r\n"); a.close() }), func(o *Options) {
			rarely(o)
			o.Ramp = 3 * time.Second
		}, "2 done", KindDropped, "says BYE: idle"},
		{"BYE behind the last answer", answers(func(a *answer) {
			if a.isTagged() && a.tagged > 1 {
				time.Sleep(time.Second)
			}
			if a.isOf(11) {
				a.say(a.text + "* BYE enough\r\n")
				return
			}
			a.pass()
		}), func(o *Options) { o.Closed, o.Rate, o.Duration = true, 0, 9500*time.Millisecond },
			"9 done, 1 done after the end", KindDropped, "says BYE: enough"},
		{"BYE and no answer to LOGOUT", answers(func(a *answer) {
			if a.isTagged() && a.to("LOGOUT") {
				a.close()
			}
			a.pass()
		}), nil, "100 done", KindDropped, "LOGOUT"},
		{"the second connection closes", answers(func(a *answer) {
			a.pass()
			if a.conn == 2 && a.isTagged() && a.to("APPEND") {
				a.later(3*time.Second, a.close)
			}
		}), func(o *Options) { withProfile(t, "phone")(o); o.Rate = 0.1 }, "1 done", KindDropped, "closed"},
		{"ends IDLE with the news", answers(func(a *answer) {
			if a.contains("EXISTS") && a.to("IDLE") {
				a.say(a.text + a.tagOf() + " OK enough\r\n")
				return
			}
			a.pass()
		}), rareProfile(t, "phone"), "", KindProtocol, "IDLE before DONE"},
		{"ends IDLE while the session waits", answers(func(a *answer) {
			a.pass()
			if strings.HasPrefix(a.text, "+") && a.to("IDLE") {
				tag := a.tagOf()
				a.later(time.Second, func() { a.say(tag + " OK enough\r\n") })
			}
		}), rareProfile(t, "phone"), "", KindProtocol, "IDLE before DONE"},
		{"everything after the end", answers(func(a *answer) {
			if a.to("NOOP") {
				time.Sleep(10 * time.Second)
			}
			a.pass()
		}), func(o *Options) { o.Rate, o.Duration, o.Grace = 0.5, 2*time.Second, 20*time.Second },
			"0 done, 1 done after the end", KindNothing, "no operation"},
	}
}

// TestEndedSessionsShow wants an error to be in the series when the server has ended a session, and no dead session to
// count as signed in.
func TestEndedSessionsShow(t *testing.T) {
	for _, comesBack := range []bool{true, false} {
		l := &liar{refuse: func(n int) bool { return n > 1 && !comesBack }, answer: func(a *answer) {
			a.pass()
			if a.conn == 1 && a.isOf(2) {
				a.later(2300*time.Millisecond, a.close)
			}
		}}
		r := runLied(t, l, rarely)
		var first float64
		for _, p := range r.Series {
			if p.Errors > 0 && first == 0 {
				first = p.At
			}
		}
		if first < 2.3 || first > 3.5 {
			t.Errorf("the first error is in the step that ends at %v s, and the session ended at 2.3 s", first)
		}
		if want := int64(map[bool]int{true: 1}[comesBack]); r.Sessions.AtEnd != want || r.Fine() {
			t.Errorf("%d signed in at the end, want %d\n%s", r.Sessions.AtEnd, want, table(r))
		}
	}
}

// TestNothingDoneInTheRamp: a run that is ended before an operation was done has failed. In its measured time, which
// has no length, an operation may begin or not: it is answered later.
func TestNothingDoneInTheRamp(t *testing.T) {
	slow := &liar{answer: func(a *answer) {
		if a.to("NOOP") {
			time.Sleep(time.Second)
		}
		a.pass()
	}}
	withLiar(t, slow, func(o *Options) { o.Ramp = 10 * time.Second }, func(t *testing.T, o Options) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r, err := Run(ctx, o); err != nil || r.Fine() || r.errorsOf(KindNothing).Count == 0 {
			t.Errorf("%v\n%s", err, table(r))
		}
	})
}

// TestSecondInterrupt: once a run is cut, it waits for nothing, and reports.
func TestSecondInterrupt(t *testing.T) {
	mute := func(verb string) *liar {
		return &liar{answer: func(a *answer) {
			if a.to(verb) {
				time.Sleep(5 * time.Minute)
			}
			a.pass()
		}}
	}
	for name, l := range map[string]*liar{"while it signs out": mute("LOGOUT"), "while an operation runs": mute("NOOP"),
		"while it signs in": mute("LOGIN")} {
		t.Run(name, func(t *testing.T) {
			withLiar(t, l, func(o *Options) { o.Timeout, o.Grace = 10*time.Minute, time.Minute },
				func(t *testing.T, o Options) {
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
					defer cancel()
					cut := make(chan struct{})
					time.AfterFunc(3*time.Second, func() { close(cut) })
					o.Cut = cut
					began := time.Now()
					r, err := Run(ctx, o)
					if took := time.Since(began); err != nil || took != 3*time.Second || r.Fine() {
						t.Errorf("%v, after %v\n%s", err, took, table(r))
					}
				})
		})
	}
}
