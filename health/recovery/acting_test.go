package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/configs/store"
	"portico/health"
)

const proxyTest = "IMAP.Proxy/ImapProxyTestMonitor"

// begins has the other writer begin a step now, of the first ladder that a monitor's fault has.
func (a another) begins(monitor, server string, action Action, rung int) (record Record) {
	a.t.Helper()
	record = Record{Instance: 1, ID: action.ID(), Resource: kinds[action].resource(Case{Server: server}),
		Monitor: monitor, Start: a.w.now, State: Started, ProcessStart: a.w.now.Add(-time.Hour), Node: "mx2"}
	l := Ladder{Case: Case{Monitor: monitor, Server: server}, Since: a.w.now, Rung: rung, Begun: 1,
		Owner: record.owner()}
	a.put(record)
	if _, err := a.ladders.Put(a.t.Context(), store.Item[Ladder]{Name: monitor, Value: l}); err != nil {
		a.t.Fatal(err)
	}
	a.acts(record)
	a.follow()
	return record
}

// acts has the other writer store that it acts.
func (a another) acts(record Record) {
	a.t.Helper()
	item := store.Item[acting]{Name: storedActing, Value: acting{record.owner(), record.Instance}}
	if _, err := store.SetOf[acting](a.w.store, storedIn).Put(a.t.Context(), item); err != nil {
		a.t.Fatal(err)
	}
}

// put stores a record as it is.
func (a another) put(record Record) {
	a.t.Helper()
	item, err := a.records.Get(a.t.Context(), logName(record.Instance))
	if item.Value = record; err == nil {
		_, err = a.records.Put(a.t.Context(), item)
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// onSite has a world's node share a site, and lead it.
func (w *world) onSite() {
	w.t.Helper()
	w.site = &Site{Leads: func() bool { return !w.follows }, Resign: func() { w.resigned++ },
		Against: func(m health.MonitorState) []string { return w.against[m.ID()] }}
	w.start()
}

// neighbour is another node that shares a world's store. It sees the same, and leads as well.
func (w *world) neighbour(name string) *world {
	w.t.Helper()
	n := &world{t: w.t, node: name, each: lookEach, now: w.now, store: bare(w.store), plan: w.plan,
		monitors: slices.Clone(w.monitors), active: w.active, fail: make(map[Action]error), blocked: w.blocked}
	n.onSite()
	return n
}

// bare is a store without what a test has put around it.
func bare(s store.Store) store.Store {
	if around, ok := s.(*writes); ok {
		return around.Store
	}
	return s
}

// count is how often nodes did something.
func count(what string, nodes ...*world) (n int) {
	for _, w := range nodes {
		for _, did := range w.did {
			if did == what {
				n++
			}
		}
	}
	return n
}

// entries lists what the store has below a prefix.
func (w *world) entries(prefix string) (keys []string) {
	w.t.Helper()
	all, err := bare(w.store).List(w.t.Context(), prefix)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range all {
		keys = append(keys, e.Key)
	}
	return keys
}

// Of a site, one node acts at a time: another leader waits, and an operator at another node does too.
func TestOneActsAtATime(t *testing.T) {
	w := newWorld(t)
	w.onSite()
	other := w.neighbour("mx2")
	other.ready("mbx1")
	asked := errors.New("it was not waited for")
	w.meanwhile = func() {
		other.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx4")
		other.pass(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, asked = other.r.ByHand(ctx, RestartService, Case{Server: "mbx5"}, "operator", false)
		if _, err := other.r.ByHand(t.Context(), RestartFrontEnd, Case{}, "operator", false); err != nil {
			t.Errorf("its own front end: %v", err)
		}
	}
	w.set(health.Unhealthy, health.Networking, selfTest1)
	w.pass(lookEach)
	w.compare("restart_service mbx1", "")
	if !errors.Is(asked, context.DeadlineExceeded) {
		t.Errorf("an operator: %v", asked)
	}
	other.compare("restart_front_end ImapProxy", "")
	other.pass(lookEach)
	other.compare("restart_service mbx4", "")
	if _, err := other.r.ByHand(t.Context(), RestartService, Case{Server: "mbx5"}, "operator", false); err != nil {
		t.Error(err)
	}
}

// A node that has no news of another one's step waits for StepTime. Then the step was interrupted: it is resumed if it
// may be done twice, else the ladder goes on behind it.
func TestStepOfAnotherNodeIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		action      Action
		rung        int
		afterwards  string
		log         string
		interrupted bool
	}{
		{RestartService, 0, "", "RestartService/mbx1:Interrupted", true},
		{Failover, 1, "failover mbx1", "ServerFailover/mbx1:Succeeded", false},
	} {
		w := newWorld(t)
		w.onSite()
		other := newAnother(t, w)
		w.set(health.Unhealthy, health.Networking, selfTest1)
		w.now = w.now.Add(time.Millisecond)
		other.begins(selfTest1, "mbx1", c.action, c.rung)
		w.pass(StepTime)
		w.compare("", "")
		if r, _ := w.r.log.find(1); r.State != Started {
			t.Errorf("%s: in progress elsewhere, the record is %+v", c.action, r)
		}
		w.pass(lookEach)
		w.compare(c.afterwards, "")
		if got := w.log(); got != c.log {
			t.Errorf("%s: the log has %s", c.action, got)
		}
	}
}

// A ladder goes on from how another node's step has ended. If only the record says so, because the node could not store
// the ladder, the step is not done again either.
func TestStepOfAnotherNodeEnds(t *testing.T) {
	for _, stored := range []bool{true, false} {
		w := newWorld(t)
		w.onSite()
		other := newAnother(t, w)
		w.set(health.Unhealthy, health.Networking, selfTest1)
		w.now = w.now.Add(time.Millisecond)
		record := other.begins(selfTest1, "mbx1", Failover, 1)
		w.pass(time.Minute)
		record.State, record.Result, record.End = Finished, ResultSucceeded, w.now
		other.put(record)
		if stored {
			other.change(selfTest1, func(l *Ladder) { l.Rung, l.Next = 2, w.now.Add(5*time.Minute); l.endStep() })
		}
		if !stored { // while the other node acts, its ladder stays as it is
			w.set(health.Healthy, "", selfTest1)
			w.pass(2 * lookEach)
			w.set(health.Unhealthy, health.Networking, selfTest1)
			if item, _ := other.ladders.Get(t.Context(), selfTest1); item.Value.Since.IsZero() {
				t.Errorf("it has changed the ladder: %+v", item.Value)
			}
		}
		w.pass(StepTime)
		w.compare("", "")
		if all := w.r.Ladders(); len(all) != 1 || all[0].Rung != 2 || all[0].Begun != 0 {
			t.Errorf("stored %v: it shows %+v", stored, all)
		}
		w.pass(5 * time.Minute)
		w.compare("restart_server mbx1", "")
	}
}

// A restart ends the records of its own node that were left in progress. Those of another node are ended when that
// node no longer acts.
func TestRecordsOfAnotherNodeAreNotInterrupted(t *testing.T) {
	w := newWorld(t)
	other := newAnother(t, w)
	for i, node := range []string{"mx1", "mx2", ""} {
		record := Record{Instance: uint64(i + 1), ID: "RestartService", Resource: "mbx1", Start: w.now, State: Started,
			ProcessStart: w.now.Add(-time.Hour), Node: node}
		other.put(record)
		if node == "mx2" {
			other.acts(record)
		}
	}
	w.onSite()
	const after = "RestartService/mbx1:Interrupted RestartService/mbx1: RestartService/mbx1:Interrupted"
	if got := w.log(); got != after {
		t.Errorf("after a start the log has %s", got)
	}
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx4")
	w.pass(StepTime)
	if got := w.log(); got != after {
		t.Errorf("while it may be in progress the log has %s", got)
	}
	w.pass(lookEach)
	if r, _ := w.r.log.find(2); r.Result != ResultInterrupted {
		t.Errorf("after %v the record is %+v", StepTime, r)
	}
	w.compare("restart_service mbx4", "")
}

// A Portico that is alone knows no other node: a step of another name is its own, before its machine was renamed.
func TestRenamedNode(t *testing.T) {
	w := newWorld(t)
	other := newAnother(t, w)
	w.set(health.Unhealthy, health.Networking, selfTest1)
	other.begins(selfTest1, "mbx1", Failover, 1)
	w.start()
	w.pass(lookEach)
	w.compare("failover mbx1", "")
}

// If the store of the site fails at one of the writes before a step, the step does not begin: another node may be at
// it. It begins at the next look. A node's own front end does not wait for the store.
func TestNoStepWithoutTheStoreOfTheSite(t *testing.T) {
	for _, fails := range []int{1, 3, 5, 7} { // a write is two moments
		w, _, around := leaders(t)
		w.r.opt.Failed = func(err error) {
			if !errors.Is(err, errFull) {
				t.Error(err)
			}
		}
		around.at = func(n int) error {
			if n == fails {
				return errFull
			}
			return nil
		}
		w.pass(lookEach)
		w.compare("", "")
		w.pass(lookEach)
		w.compare("restart_service mbx1", "")
		around.at = func(int) error { return errFull }
		w.set(health.Healthy, "", selfTest1)
		w.set(health.Unhealthy, health.Networking, proxyTest)
		w.pass(lookEach)
		w.compare("restart_front_end ImapProxy", "")
	}
}

// skipped lists the records of steps that were skipped, with their reasons.
func (w *world) skipped() string {
	var all []string
	for _, r := range w.r.Records() {
		if r.Result == ResultSkipped {
			all = append(all, fmt.Sprintf("%s: %s", r.Resource, r.Message))
		}
	}
	return strings.Join(all, "; ")
}

// While the store of the site is away, no step begins. That it is away is reported elsewhere; people hear of the fault
// after the time of a step.
func TestStoreOfTheSiteIsAway(t *testing.T) {
	w, _, around := leaders(t)
	around.at = func(int) error { return store.ErrAway }
	w.pass(w.plan.Wait)
	w.compare("", "")
	w.pass(2 * lookEach)
	w.compare("", "Self/mbx1")
	if all := w.r.Ladders(); len(all) != 1 || all[0].Note != "the store of the site fails, so no step begins" {
		t.Errorf("it shows %+v", all)
	}
	around.at = func(int) error { return nil }
	w.pass(lookEach)
	w.compare("restart_service mbx1", "Self/mbx1")
}

// A node that has left its site takes back what it has done to its own front end, and leaves the ladders of other
// nodes' front ends alone.
func TestLaddersOfASiteThatWasLeft(t *testing.T) {
	w := newWorld(t)
	w.onSite()
	front := w.monitors[0]
	other := w.neighbour("mx2")
	for _, node := range []*world{w, other} {
		node.set(health.Unhealthy, health.None, front.ID())
		node.pass(12 * time.Minute)
	}
	if got := w.entries(storedLadders); len(got) != 2 {
		t.Fatalf("ladders %q", got)
	}
	w.site, w.did = nil, nil
	w.start()
	w.set(health.Healthy, health.None, front.ID())
	w.pass(time.Minute)
	w.compare("BringComponentOnline ImapProxy", "")
	if got := w.entries(storedLadders); len(got) > 0 {
		t.Errorf("left %q", got)
	}
}
