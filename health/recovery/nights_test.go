package recovery

import (
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend"
	"portico/health"
)

// whole has simulations last a week or a day, without the race detector in half a minute. Otherwise they last 30 hours,
// so that daily limits of throttles end, and six hours.
var whole = flag.Bool("whole", false, "simulate a week and a day instead of 30 hours and six hours")

func lasts(long, short time.Duration) time.Duration {
	if *whole {
		return long
	}
	return short
}

// A day of twenty servers whose probes fail now and then, each alone: no monitor turns, nothing is done, nobody is
// told.
func TestDayOfIsolatedFailures(t *testing.T) {
	simulate(t, 20, 1, func(t *testing.T, n *night) {
		n.mu.Lock()
		n.flaky = 0.01
		n.mu.Unlock()
		time.Sleep(lasts(24*time.Hour, 6*time.Hour))
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, turn := range n.turned {
			if !strings.HasSuffix(turn, "UnInitialized->Healthy") {
				t.Error(turn)
			}
		}
		if len(n.turned) != 80 || len(n.records) > 0 || len(n.told) > 0 {
			t.Errorf("%d monitors turned; done: %v; told: %q", len(n.turned), n.records, n.told)
		}
		failures := 0
		for _, p := range n.engine.Probes() {
			for _, result := range p.Results {
				if result.Type == health.Failed {
					failures++
				}
			}
		}
		if failures < 100 || n.refused < 500 { // a history keeps the latest
			t.Errorf("only %d failures are known, and %d sign-ins have failed: the test tests nothing",
				failures, n.refused)
		}
	})
}

// A server that does not take half of the sign-ins, though its probe succeeds each time, loses its users to a sound
// copy. It is not restarted, and stays blocked until its probe has succeeded ten times in a row; people hear of the
// move.
func TestDayOfHalfAServer(t *testing.T) {
	simulate(t, 20, 4, func(t *testing.T, n *night) {
		n.mu.Lock()
		n.flaky = 0.01
		n.mu.Unlock()
		time.Sleep(time.Hour)
		n.mu.Lock()
		n.halves, n.pause = map[int]float64{7: 0.5}, 2
		n.mu.Unlock()
		began := time.Now()
		for n.activeOn(database(7)) == server(7) && time.Since(began) < time.Hour {
			time.Sleep(time.Second)
		}
		// mostly it takes two minutes; a run of sign-ins that succeed by chance makes it longer
		if took := time.Since(began); took > 10*time.Minute {
			t.Errorf("moved after %v", took)
		} else {
			t.Logf("moved after %v", took)
		}
		time.Sleep(5 * time.Minute)
		n.mu.Lock()
		if !n.blocked[7] {
			t.Error("it is not blocked any more")
		}
		n.mu.Unlock()
		time.Sleep(time.Hour)
		n.mu.Lock()
		defer n.mu.Unlock()
		var did []string
		for _, r := range n.records {
			if r.State == Finished {
				did = append(did, r.ID+"/"+r.Resource+":"+string(r.Result))
			}
		}
		if got := strings.Join(did, " "); got != "ServerFailover/mbx07:Succeeded AllowActivation/mbx07:Succeeded" ||
			n.blocked[7] {
			t.Errorf("it did %s", got)
		}
		for _, turn := range n.turned {
			if !strings.HasSuffix(turn, "UnInitialized->Healthy") &&
				!strings.HasPrefix(turn, "IMAP/ProxyConnectionsFailedGt20PercentMonitor/mbx07 ") {
				t.Error(turn)
			}
		}
		if len(n.told) > 0 {
			t.Errorf("told %q", n.told)
		}
	})
}

// A server that is restarted in 40 seconds, and one user whose sign-ins all fail, are no reason to do anything.
func TestDayOfRestartsAndABrokenUser(t *testing.T) {
	simulate(t, 6, 5, func(t *testing.T, n *night) {
		time.Sleep(time.Hour)
		for range 60 {
			n.outcomes.Record(server(1), "broken", nil)
			for range 50 {
				n.outcomes.Record(server(1), "broken",
					&backend.Error{Kind: backend.KindClosed, Phase: backend.PhaseSignIn})
				time.Sleep(time.Second)
			}
		}
		for range 12 {
			n.mu.Lock()
			n.dead[0] = true
			n.mu.Unlock()
			time.Sleep(40 * time.Second)
			n.mu.Lock()
			n.dead[0] = false
			n.mu.Unlock()
			time.Sleep(time.Hour)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(n.records) > 0 || len(n.told) > 0 || n.refused < 12*4 {
			t.Errorf("done: %v; told: %q; %d sign-ins have failed", n.records, n.told, n.refused)
		}
	})
}

// out is how long users of a database may be out though its other copy is well: its monitor takes 5 minutes to be
// sure, and a server that was dead before a minute to be seen well. No throttle makes that longer.
const out = 7 * time.Minute

// In a week, or 30 hours, in which two of six servers come and go, nothing is restarted more often than throttles
// allow, and users are moved where a copy is well. Of failovers beyond the throttle people are told.
func TestWeekOfFlaps(t *testing.T) {
	simulate(t, 6, 3, func(t *testing.T, n *night) {
		flapping := []int{0, 3}
		change := make([]time.Time, len(n.dead)) // when each of them turns
		// when users of each database were well for the last time, or could not be helped
		since := make([]time.Time, len(n.dead))
		for i := range since {
			since[i] = time.Now()
		}
		faults, balanced := 0, time.Now()
		end := time.Now().Add(lasts(7*24*time.Hour, 30*time.Hour))
		for ; time.Now().Before(end); time.Sleep(30 * time.Second) {
			now := time.Now()
			n.mu.Lock()
			if now.Sub(balanced) > 3*time.Hour { // an operator moves all back, where that may be done
				balanced = now
				for i := range n.active {
					if !n.dead[i] && !n.blocked[i] {
						n.active[i] = i
					}
				}
			}
			for _, i := range flapping {
				if now.After(change[i]) {
					if n.dead[i] = !n.dead[i]; n.dead[i] {
						faults++
					}
					change[i] = now.Add(time.Minute + time.Duration(n.random.Int64N(int64(25*time.Minute))))
				}
			}
			for i, at := range n.active {
				if other := n.other(i); !n.dead[at] || n.dead[other] || n.blocked[other] {
					since[i] = now
				}
				if left := now.Sub(since[i]); left > out {
					t.Errorf("%v: users of %s are out for %v", now, database(i), left)
				}
			}
			n.mu.Unlock()
			if t.Failed() {
				break
			}
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		t.Logf("%d faults, %d entries in the recovery log, told %d times", faults, len(n.records), len(n.told))
		moves, beyond := n.throttlesHold(t)
		if faults < 85 || moves < 4 || beyond == 0 {
			t.Errorf("%d faults, %d failovers, %d beyond the throttle: the test tests nothing", faults, moves, beyond)
		}
		if !slices.ContainsFunc(n.told, func(subject string) bool {
			return strings.HasSuffix(subject, "is at fault: IMAP.Protocol/ImapSelfTestMonitor/mbx00")
		}) {
			t.Errorf("told %q", n.told[:min(len(n.told), 10)])
		}
	})
}
