package recovery

import (
	"testing"
	"time"

	"portico/configs/store"
	"portico/health"
)

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
	a.follow()
	return record
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

const proxyTest = "IMAP.Proxy/ImapProxyTestMonitor"

// A step that another node is doing is waited for until StepTime is over. Then it was interrupted: it is resumed if it
// may be done twice, else the ladder goes on behind it.
func TestStepOfAnotherNodeIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		monitor, server string
		action          Action
		rung            int
		afterwards, log string
	}{
		{selfTest1, "mbx1", RestartService, 0, "", "RestartService/mbx1:Interrupted"},
		{selfTest1, "mbx1", Failover, 1, "failover mbx1", "ServerFailover/mbx1:Succeeded"},
		{proxyTest, "", RestartFrontEnd, 0, "restart_front_end ImapProxy", "RestartFrontEnd/ImapProxy:Succeeded"},
	} {
		w := newWorld(t)
		other := newAnother(t, w)
		w.set(health.Unhealthy, health.Networking, c.monitor)
		w.now = w.now.Add(time.Millisecond)
		other.begins(c.monitor, c.server, c.action, c.rung)
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
		w.pass(StepTime)
		w.compare("", "")
		if all := w.r.Ladders(); len(all) != 1 || all[0].Rung != 2 || all[0].Begun != 0 {
			t.Errorf("stored %v: it shows %+v", stored, all)
		}
		w.pass(5 * time.Minute)
		w.compare("restart_server mbx1", "")
	}
}

// Of two nodes that take a step for interrupted, one resumes it.
func TestStepIsResumedOnce(t *testing.T) {
	w := newWorld(t)
	other := newAnother(t, w)
	w.set(health.Unhealthy, health.Networking, selfTest1)
	w.now = w.now.Add(time.Millisecond)
	other.begins(selfTest1, "mbx1", Failover, 1)
	w.pass(StepTime)
	item, err := other.ladders.Get(t.Context(), selfTest1)
	if err != nil {
		t.Fatal(err)
	}
	item.Value.Owner = Owner{"mx3", w.now}
	if _, err := other.ladders.Put(t.Context(), item); err != nil { // and we have not seen it yet
		t.Fatal(err)
	}
	w.pass(StepTime)
	w.compare("", "")
}

// A restart ends the records of its own node that were left in progress. Those of another node are waited for.
func TestRecordsOfAnotherNodeAreNotInterrupted(t *testing.T) {
	w := newWorld(t)
	other := newAnother(t, w)
	for i, node := range []string{"mx1", "mx2", ""} {
		other.put(Record{Instance: uint64(i + 1), ID: "RestartService", Resource: "mbx1", Start: w.now, State: Started,
			ProcessStart: w.now.Add(-time.Hour), Node: node})
	}
	w.start()
	const after = "RestartService/mbx1:Interrupted RestartService/mbx1: RestartService/mbx1:Interrupted"
	if got := w.log(); got != after {
		t.Errorf("after a start the log has %s", got)
	}
	w.pass(StepTime)
	if got := w.log(); got != after {
		t.Errorf("while it may be in progress the log has %s", got)
	}
	w.pass(lookEach)
	if r, _ := w.r.log.find(2); r.Result != ResultInterrupted {
		t.Errorf("after %v the record is %+v", StepTime, r)
	}
}
