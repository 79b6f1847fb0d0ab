package recovery

import (
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
	"portico/health"
)

// another is a writer of a world's store.
type another struct {
	t       *testing.T
	w       *world
	ladders store.Set[Ladder]
	records store.Set[Record]
}

func newAnother(t *testing.T, w *world) another {
	return another{t, w, store.SetOf[Ladder](w.store, storedLadders), store.SetOf[Record](w.store, storedLog)}
}

// change changes the stored ladder of a monitor.
func (a another) change(monitor string, how func(*Ladder)) {
	a.t.Helper()
	item, err := a.ladders.Get(a.t.Context(), monitor)
	if err == nil {
		how(&item.Value)
		_, err = a.ladders.Put(a.t.Context(), item)
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// follow has the world's responders see what is stored, as Run does.
func (a another) follow() {
	a.t.Helper()
	if err := a.w.r.stored.Refresh(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
	if err := a.w.r.log.stored.Refresh(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
}

const selfTest1 = "IMAP.Protocol/ImapSelfTestMonitor/mbx1"

// A ladder that another writer has changed goes on from there. If another writer was first, a step is not done twice.
func TestLadderOfAnotherWriterIsFollowed(t *testing.T) {
	w := newWorld(t)
	other := newAnother(t, w)
	w.set(health.Unhealthy, health.Networking, selfTest1)
	w.pass(lookEach)
	w.compare("restart_service mbx1", "")
	w.pass(w.plan.Wait - 2*lookEach) // the failover is next
	other.change(selfTest1, func(l *Ladder) { l.Rung, l.Next, l.Note = 2, w.now.Add(time.Minute), "moved" })
	w.pass(4 * lookEach)
	w.compare("", "")
	if got := w.log(); got != "RestartService/mbx1:Succeeded ServerFailover/mbx1:Skipped" {
		t.Errorf("the log has %s", got)
	}
	if all := w.r.Ladders(); len(all) != 1 || all[0].Rung != 2 || all[0].Note != "moved" {
		t.Errorf("it shows %+v", all)
	}
	w.pass(2 * time.Minute)
	w.compare("restart_server mbx1", "")
	w.set(health.Healthy, "", selfTest1)
	item, err := other.ladders.Get(t.Context(), selfTest1)
	if err == nil {
		err = other.ladders.Remove(t.Context(), item)
	}
	if err != nil {
		t.Fatal(err)
	}
	other.follow()
	w.pass(lookEach)
	if all := w.r.Ladders(); len(all) > 0 {
		t.Errorf("it shows %+v", all)
	}
}

// Records of another writer are shown and count for throttling, and no number is used twice.
func TestRecordsOfAnotherWriterAreFollowed(t *testing.T) {
	w := newWorld(t)
	other := newAnother(t, w)
	w.plan.Throttles[RestartService] = Throttle{Between: time.Hour, InAnHour: -1, InADay: -1, GroupInADay: -1}
	w.r.Use(w.plan)
	theirs := Record{Instance: 1, ID: RestartService.ID(), Resource: "mbx1", Start: w.now, End: w.now, State: Finished,
		Result: ResultSucceeded}
	if _, err := other.records.Put(t.Context(), store.Item[Record]{Name: logName(1), Value: theirs}); err != nil {
		t.Fatal(err)
	}
	ours := Record{ID: "ForceReboot", Resource: "mbx3", Result: ResultSkipped}
	if err := w.r.log.put(t.Context(), &ours); err != nil || ours.Instance != 2 {
		t.Errorf("the record is number %d: %v", ours.Instance, err)
	}
	if got := w.log(); got != "RestartService/mbx1:Succeeded ForceReboot/mbx3:Skipped" {
		t.Errorf("the log has %s", got)
	}
	w.set(health.Unhealthy, health.Networking, selfTest1)
	w.pass(w.plan.Wait + lookEach)
	w.compare("failover mbx1", "")
	item, err := other.records.Get(t.Context(), logName(1))
	if err != nil {
		t.Fatal(err)
	}
	item.Value.Result = ResultFailed
	if _, err := other.records.Put(t.Context(), item); err != nil {
		t.Fatal(err)
	}
	other.follow()
	if r, ok := w.r.log.find(1); !ok || r.Result != ResultFailed {
		t.Errorf("number 1 is %+v", r)
	}
}

// Run follows both.
func TestRunFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		defer kept.Close()
		r, err := New(t.Context(), Options{Store: kept, Monitors: func() []health.MonitorState { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		go r.Run(t.Context())
		synctest.Wait()
		l := Ladder{Case: Case{Monitor: selfTest1, Server: "mbx1"}, Since: time.Now()}
		if _, err := store.SetOf[Ladder](kept, storedLadders).Put(t.Context(), store.Item[Ladder]{Name: selfTest1,
			Value: l}); err != nil {
			t.Fatal(err)
		}
		if _, err := store.SetOf[Record](kept, storedLog).Put(t.Context(), store.Item[Record]{Name: logName(7),
			Value: Record{Instance: 7}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * lookEach)
		synctest.Wait()
		if len(r.Ladders()) != 1 || len(r.Records()) != 1 {
			t.Errorf("it shows %+v and %+v", r.Ladders(), r.Records())
		}
	})
}
