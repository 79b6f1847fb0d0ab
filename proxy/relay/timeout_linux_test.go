package relay

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"portico/backend/backendtest/testkit"
)

// waitTicks waits until a loop has done its housekeeping n times.
func waitTicks(t testing.TB, r Relay, n uint64) {
	t.Helper()
	count := func() (ticks uint64) {
		inside(t, r, func(lp *loop) { ticks = lp.ticks })
		return ticks
	}
	from := count()
	testkit.Eventually(t, "the loop ticks", func() bool { return count() >= from+n })
}

func TestOnlyTheClientsBytesCountAgainstIdleness(t *testing.T) {
	eachLoop(t, onlyTheClientsBytesCountAgainstIdleness)
}

func onlyTheClientsBytesCountAgainstIdleness(t *testing.T, d driver) {
	testkit.NoLeaks(t)
	t.Run("on", func(t *testing.T) {
		for _, w := range allWays {
			t.Run(w.String(), func(t *testing.T) {
				t.Parallel()
				var clock atomic.Int64
				clock.Store(1)
				r := newRig(t, d, Options{IdleTimeout: time.Minute, Now: clock.Load}, w)
				onlyTheClientsBytesCount(t, r, func(d time.Duration) {
					clock.Add(int64(d))
					waitTicks(t, r.relay, 4) // then every session has been looked at
				})
			})
		}
	})
}

func onlyTheClientsBytesCount(t *testing.T, r *rig, advance func(time.Duration)) {
	tk := r.start()
	for range 2 {
		advance(50 * time.Second)
		tk.client.say("a NOOP\n")
		tk.server.hears("a NOOP\n")
		tk.server.say("a OK\n")
		tk.client.hears("a OK\n")
	}
	for range 2 {
		advance(29 * time.Second)
		tk.server.say("* 1 EXISTS\n")
		tk.client.hears("* 1 EXISTS\n")
	}
	advance(3 * time.Second)
	tk.client.hears(lfs(byeIdle))
	tk.client.hearsEnd()
}

// TestClientsBytesBeatTheIdleTimeout has a loop come late: the idle time-out is over, and the client's bytes wait to
// be read.
func TestClientsBytesBeatTheIdleTimeout(t *testing.T) { eachLoop(t, clientsBytesBeatTheIdleTimeout) }

func clientsBytesBeatTheIdleTimeout(t *testing.T, d driver) {
	testkit.NoLeaks(t)
	var clock atomic.Int64
	clock.Store(1)
	r := newRig(t, d, Options{IdleTimeout: time.Second, Now: clock.Load}, allWays[0])
	tk := r.start()
	tk.server.say("* OK hi\n")
	tk.client.hears("* OK hi\n")
	inside(t, r.relay, func(lp *loop) {
		tick := []unix.PollFd{{Fd: int32(lp.timer), Events: unix.POLLIN}}
		for n := 0; n == 0; { // so that epoll tells of it first
			n, _ = unix.Poll(tick, -1)
			n = max(n, 0)
		}
		tk.client.say("a NOOP\n")
		clock.Add(int64(time.Hour))
	})
	tk.server.hears("a NOOP\n")
}
