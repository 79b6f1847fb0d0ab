package relay

import (
	"sync/atomic"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

func TestRateLimiter(t *testing.T) {
	a := &rateLimiter{}
	a.set(10, 5)
	at := func(d time.Duration) int64 { return int64(time.Hour + d) }
	for _, step := range []struct {
		user  string
		after time.Duration
		want  int
		got   int
	}{
		{"ann", 0, 3, 3},
		{"bob", 0, 9, 5},
		{"ann", 0, 3, 2},
		{"ann", 0, 3, 0},
		{"ann", 150 * time.Millisecond, 3, 1},
		{"ann", 199 * time.Millisecond, 3, 0},
		{"ann", 200 * time.Millisecond, 3, 1},
		{"ann", time.Minute, 9, 5}, // no more than the bucket holds
	} {
		if got := a.draw(step.user, step.want, at(step.after)); got != step.got {
			t.Errorf("%s after %v: %d, want %d", step.user, step.after, got, step.got)
		}
	}
	a.forget(at(time.Minute))
	if len(a.users) != 1 {
		t.Errorf("%d buckets are kept, want ann's", len(a.users))
	}
	a.forget(at(2 * time.Minute))
	if len(a.users) != 0 {
		t.Error("a full bucket is kept")
	}
}

// What a user has drawn stays for 100 ticks without a command, and is dropped before 200 have passed. Full buckets are
// dropped every 600.
func TestIdleBudgetsAreDropped(t *testing.T) {
	lp := &loop{budgets: make(map[string]*userBudget), limiter: &rateLimiter{}, draws: 4, limited: true}
	lp.limiter.set(80, 100)
	var now int64
	tick := func(to uint64) {
		for lp.ticks < to {
			lp.ticks++
			now += int64(100 * time.Millisecond)
			lp.dropIdleBudgets(now)
		}
	}
	tick(50)
	lp.pays("ann", 1, now)
	tick(100)
	lp.pays("bob", 1, now)
	for _, step := range []struct {
		ticks    uint64
		ann, bob bool
	}{{100, true, true}, {199, true, true}, {200, false, true}, {299, false, true}, {300, false, false}} {
		tick(step.ticks)
		if ann, bob := lp.budgets["ann"] != nil, lp.budgets["bob"] != nil; ann != step.ann || bob != step.bob {
			t.Errorf("after %d ticks: ann %v, bob %v", step.ticks, ann, bob)
		}
	}
	tick(599)
	if n := len(lp.limiter.users); n != 2 {
		t.Errorf("%d buckets after %d ticks, want 2", n, lp.ticks)
	}
	tick(600)
	if n := len(lp.limiter.users); n != 0 {
		t.Errorf("%d full buckets after %d ticks", n, lp.ticks)
	}
}

// A user who sends too much is not read until that is paid for, over all sessions together; nothing is lost, and
// nobody is refused.
func TestLimit(t *testing.T) { eachLoop(t, limitOf) }

func limitOf(t *testing.T, d driver) {
	testkit.NoLeaks(t)
	t.Run("on", func(t *testing.T) {
		for _, w := range allWays {
			t.Run(w.String(), func(t *testing.T) {
				t.Parallel()
				var clock atomic.Int64
				clock.Store(1)
				r := newRig(t, d, Options{Loops: 2, Now: clock.Load}, w)
				r.relay.Limit(10, 3)
				limit(t, r, func(d time.Duration) { clock.Add(int64(d)) })
			})
		}
	})
}

func limit(t *testing.T, r *rig, advance func(time.Duration)) {
	first, second := r.start(), r.start() // on two loops
	command := func(tk *talk, tag string) {
		t.Helper()
		tk.client.say(tag + " NOOP\n")
		tk.server.hears(tag + " NOOP\n")
		tk.server.say(tag + " OK\n")
		tk.client.hears(tag + " OK\n")
	}
	throttled := func(n uint64) {
		t.Helper()
		testkit.Eventually(t, "the client is made to wait", func() bool { return r.server().Throttled == n })
	}
	command(first, "a1")
	command(second, "b1")
	command(first, "a2")
	command(first, "a3") // the fourth is one too many, and is carried all the same
	throttled(1)
	command(second, "b2") // its loop does not know yet
	throttled(2)
	first.client.say("a4 NOOP\n")
	second.client.say("b3 NOOP\n")
	waitTicks(t, r.relay, 3)
	if n := r.server().ClientBytes; n != uint64(len("a1 NOOP\r\n")*5) {
		t.Errorf("%d bytes of the clients were read", n)
	}
	advance(time.Second)
	first.server.hears("a4 NOOP\n")
	second.server.hears("b3 NOOP\n")
	throttled(3) // there was one token for the two
	advance(time.Second)
	waitTicks(t, r.relay, 3)
	first.client.say("c1 NOOP\nc2 NOOP\nc3 NOOP\n")
	first.server.hears("c1 NOOP\nc2 NOOP\nc3 NOOP\n")
	throttled(4)
	r.relay.Limit(0, 0) // whoever waits goes on
	command(first, "d1")
	for range 20 {
		command(second, "d2")
	}
}
