package recovery

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/configs/store"
	"portico/health"
)

// writes is a store that does something before and after each write of a node. n counts these moments.
type writes struct {
	store.Store
	n  int
	at func(n int) error
}

func (s *writes) moment() error {
	s.n++
	return s.at(s.n)
}

func (s *writes) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	if err := s.moment(); err != nil {
		return 0, err
	}
	now, err := s.Store.CompareAndSet(ctx, key, revision, value)
	s.moment()
	return now, err
}

func (s *writes) Delete(ctx context.Context, key string, revision uint64) error {
	if err := s.moment(); err != nil {
		return err
	}
	defer s.moment()
	return s.Store.Delete(ctx, key, revision)
}

// leaders are two nodes of a site that both take themselves for its leader. The store calls at for the first one.
func leaders(t *testing.T, ladder ...Action) (w, other *world, around *writes) {
	w = newWorld(t)
	if ladder != nil {
		w.plan.Ladders["ImapSelfTestMonitor"] = ladder
	}
	around = &writes{Store: w.store, at: func(int) error { return nil }}
	w.store = around
	w.onSite()
	other = w.neighbour("mx2")
	other.each = 10 * time.Second // it looks often enough
	w.set(health.Unhealthy, health.Networking, selfTest1)
	other.set(health.Unhealthy, health.Networking, selfTest1)
	around.n = 0
	return w, other, around
}

// rung is how far the stored ladder of mbx1 is.
func (w *world) rung() int {
	w.t.Helper()
	item, err := store.SetOf[Ladder](bare(w.store), storedLadders).Get(w.t.Context(), selfTest1)
	if err != nil {
		w.t.Fatal(err)
	}
	return item.Value.Rung
}

// firstSteps are faults by what is done about them first. A second failover does no harm, a second restart may.
var firstSteps = []struct {
	step   string
	sound  []string
	ladder []Action
}{
	{"restart_service mbx1", nil, []Action{RestartService, Failover, RestartServer, Escalate}},
	{"failover mbx1", nil, []Action{Failover, RestartService, Escalate}},
	{"failover mbx1", []string{"mbx2"}, []Action{RestartService, Failover, Escalate}},
}

// A leader is stopped before or after one of its writes, and goes on ten minutes later. Another one looks after the
// fault meanwhile. Whichever write it is, no step is begun twice. A failover that the first one has done, and not said
// so, is done again.
func TestStoppedLeader(t *testing.T) {
	for _, c := range firstSteps {
		for stop := 1; ; stop++ {
			w, other, around := leaders(t, c.ladder...)
			w.ready(c.sound...)
			other.ready(c.sound...)
			most, rung := 1, 0
			around.at = func(n int) error {
				if n == stop {
					if strings.HasPrefix(c.step, "failover") && len(w.did) > 0 {
						most = 2
					}
					other.pass(10 * time.Minute)
					w.now, rung = other.now, other.rung()
				}
				return nil
			}
			w.pass(lookEach)
			if around.n < stop {
				break
			}
			if got := w.rung(); got < rung {
				t.Errorf("stopped at %d, the ladder has gone back from step %d to %d", stop, rung, got)
			}
			w.each = other.each
			w.pass(10 * time.Minute)
			all := slices.Concat(w.did, other.did)
			if n := count(c.step, w, other); n > most || len(all) == 0 || c.sound != nil && all[0] != c.step {
				t.Errorf("stopped at %d, %s was done %d times: %q and %q", stop, c.step, n, w.did, other.did)
			}
			if keys := w.entries(storedIn + storedActing); len(keys) > 0 {
				t.Errorf("stopped at %d, there is %q", stop, keys)
			}
		}
	}
}

// As above, but the fault ends while the leader is stopped, and its ladder is removed. The leader does nothing then.
func TestStoppedLeaderAfterTheFault(t *testing.T) {
	for stop := 1; ; stop++ {
		w, other, around := leaders(t)
		did := 0
		around.at = func(n int) error {
			if n == stop {
				other.pass(10 * time.Minute)
				other.set(health.Healthy, "", selfTest1)
				other.pass(lookEach)
				w.now, w.well, did = other.now, true, len(w.did)
			}
			return nil
		}
		w.pass(lookEach)
		if around.n < stop {
			break
		}
		w.set(health.Healthy, "", selfTest1)
		w.pass(time.Minute)
		if len(w.did) > did || count("restart_service mbx1", w, other) > 1 {
			t.Errorf("stopped at %d: %q and %q", stop, w.did, other.did)
		}
		if keys := w.entries(storedLadders); len(keys) > 0 {
			t.Errorf("stopped at %d, there is %q", stop, keys)
		}
	}
}

// A leader that sees a mailbox server healthy is stopped before it lifts a block. Another one finds the next fault.
// The block stays.
func TestStoppedLeaderLiftsNothing(t *testing.T) {
	w, other, around := leaders(t, Failover, Escalate)
	w.pass(lookEach)
	w.compare("failover mbx1", "")
	w.set(health.Healthy, "", selfTest1)
	around.at = func(int) error {
		around.at = func(int) error { return nil }
		other.set(health.Healthy, "", selfTest1)
		other.pass(lookEach)
		other.set(health.Unhealthy, health.Networking, selfTest1)
		w.active["db1"] = "mbx1"
		other.pass(10 * time.Minute)
		other.compare("AllowActivation mbx1, failover mbx1", "Self/mbx1")
		return nil
	}
	w.pass(lookEach)
	w.compare("", "")
	if !w.blocked["mbx1"] {
		t.Error("the block is lifted")
	}
}

// A leader dies at one of its writes. Another one goes on: a restart that may have begun is not repeated, and what was
// left in progress is ended.
func TestLeaderDies(t *testing.T) {
	type killed struct{}
	for _, c := range firstSteps {
		for cut := 1; ; cut++ {
			w, other, around := leaders(t, c.ladder...)
			w.ready(c.sound...)
			other.ready(c.sound...)
			around.at = func(n int) error {
				if n >= cut {
					panic(killed{})
				}
				return nil
			}
			func() {
				defer func() {
					if v := recover(); v != nil && v != (killed{}) {
						panic(v)
					}
				}()
				w.pass(lookEach)
			}()
			if around.n < cut {
				break
			}
			other.pass(20 * time.Minute)
			if n := count(c.step, w, other); n > 1 && strings.HasPrefix(c.step, "restart") || len(other.did) == 0 {
				t.Errorf("killed at %d, %s was done %d times: %q and %q", cut, c.step, n, w.did, other.did)
			}
			for _, r := range other.r.Records() {
				if r.State == Started {
					t.Errorf("killed at %d, a record is %+v", cut, r)
				}
			}
		}
	}
}
