package health

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
)

// escalators are several that share one store, and what they send, but for repetitions.
type escalators struct {
	kept   store.Store
	stored store.One[[]Alert]

	mu   sync.Mutex
	sent []string
}

func newEscalators(t *testing.T) *escalators {
	kept := store.Memory()
	t.Cleanup(func() { kept.Close() })
	return &escalators{kept: kept, stored: store.OneOf[[]Alert](kept, "alerts")}
}

// start runs one by what it sees.
func (es *escalators) start(t *testing.T, name string, f *fakeMonitors) (e *Escalator, stop func()) {
	t.Helper()
	e, err := NewEscalator(t.Context(), EscalatorOptions{Monitors: f.get, Stored: &es.stored, Node: name,
		Failed: func(err error) { es.note(name + ": " + err.Error()) },
		Sinks: []Sink{SinkFunc(func(_ context.Context, a Alert) error {
			if !a.Again {
				es.note(a.Subject())
			}
			return nil
		})}})
	if err != nil {
		t.Fatal(err)
	}
	return e, runs(t, e)
}

func (es *escalators) note(what string) {
	es.mu.Lock()
	defer es.mu.Unlock()
	es.sent = append(es.sent, what)
}

// compare holds what was sent since the last time against what should be.
func (es *escalators) compare(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	es.mu.Lock()
	defer es.mu.Unlock()
	if !slices.Equal(es.sent, want) {
		t.Errorf("sent was %q, want %q", es.sent, want)
	}
	es.sent = nil
}

const (
	atFault = "IMAP: Networking of mbx1 is at fault: "
	isOver  = "IMAP: Networking of mbx1 is healthy again"
)

// Of several writers that see the same fault, one sends the alert and its end, and all show it.
func TestAlertOfSeveralWritersIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		es := newEscalators(t)
		f := newFakeMonitors()
		var all []*Escalator
		for i := range 4 {
			e, stop := es.start(t, fmt.Sprint("writer ", i), f)
			defer stop()
			all = append(all, e)
		}
		f.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(es.sent) != 1 || !strings.HasPrefix(es.sent[0], atFault) {
			t.Errorf("sent was %q", es.sent)
		}
		es.sent = nil
		by := all[0].Open()[0].Node
		for i, e := range all {
			if open := e.Open(); len(open) != 1 || open[0].Cause != "Networking of mbx1" || open[0].Node != by ||
				!strings.HasPrefix(by, "writer ") {
				t.Errorf("writer %d shows %+v", i, open)
			}
		}
		f.set(Healthy, None, "", "SelfTestMonitor/mbx1")
		time.Sleep(10 * time.Minute)
		es.compare(t, isOver)
		for i, e := range all {
			if open := e.Open(); len(open) > 0 {
				t.Errorf("writer %d shows %+v", i, open)
			}
		}
	})
}

// An alert that another writer has opened is shown at once. Whoever has never seen its monitors fail neither sends nor
// ends it. After a restart, its node holds the alert as before. What cannot be read changes nothing.
func TestAlertOfAnotherWriterIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		es := newEscalators(t)
		seesIt, seesNothing := newFakeMonitors(), newFakeMonitors()
		_, stopFirst := es.start(t, "first", seesIt)
		second, stopSecond := es.start(t, "second", seesNothing)
		seesIt.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
		time.Sleep(90 * time.Second)
		synctest.Wait()
		if len(es.sent) != 1 || len(second.Open()) != 1 {
			t.Errorf("sent was %q; the second shows %+v", es.sent, second.Open())
		}
		es.sent = nil
		time.Sleep(10 * time.Minute)
		es.compare(t)
		seesIt.set(Healthy, None, "", "SelfTestMonitor/mbx1")
		time.Sleep(time.Minute)
		es.compare(t, isOver)
		if open := second.Open(); len(open) > 0 {
			t.Errorf("the second shows %+v", open)
		}
		seesIt.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
		time.Sleep(90 * time.Second)
		synctest.Wait()
		es.sent = nil
		stopFirst()
		item, err := es.stored.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		damaged, err := es.kept.CompareAndSet(t.Context(), "alerts", item.Revision, []byte("{"))
		if err != nil {
			t.Fatal(err)
		}
		es.compare(t, "second: read the open alerts: alerts: unexpected end of JSON input")
		if open := second.Open(); len(open) != 1 {
			t.Errorf("the second shows %+v", open)
		}
		item.Revision = damaged
		if _, err := es.stored.Put(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		stopSecond()
		es.compare(t)
		again, stopAgain := es.start(t, "first", seesNothing)
		time.Sleep(time.Minute)
		stopAgain()
		es.compare(t, isOver)
		if open := again.Open(); len(open) > 0 {
			t.Errorf("the restarted one shows %+v", open)
		}
	})
}

// An alert ends when no writer sees its fault any more, and only then, however the views of the others change. A
// restart changes nothing about what other writers hold.
func TestAlertEndsWhenNobodyHoldsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		es := newEscalators(t)
		comesAndGoes, stays := newFakeMonitors(), newFakeMonitors()
		_, stopFirst := es.start(t, "first", comesAndGoes)
		second, stopSecond := es.start(t, "second", stays)
		defer func() { stopSecond() }()
		const id = "SelfTestMonitor/mbx1"
		for _, f := range []*fakeMonitors{comesAndGoes, stays} {
			f.set(Unhealthy, Networking, "mbx1", id)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if len(es.sent) != 1 || !strings.HasPrefix(es.sent[0], atFault) {
			t.Errorf("sent was %q", es.sent)
		}
		es.sent = nil
		for range 3 {
			comesAndGoes.set(Healthy, None, "", id)
			time.Sleep(3 * time.Minute)
			comesAndGoes.set(Unhealthy, Networking, "mbx1", id)
			time.Sleep(3 * time.Minute)
		}
		comesAndGoes.set(Healthy, None, "", id)
		time.Sleep(time.Minute)
		stopFirst()
		_, stopFirst = es.start(t, "first", comesAndGoes)
		defer func() { stopFirst() }()
		time.Sleep(time.Minute)
		es.compare(t)
		if open := second.Open(); len(open) != 1 || !slices.Equal(open[0].Holders, []string{"second"}) {
			t.Errorf("the second shows %+v", open)
		}
		stays.set(Healthy, None, "", id)
		time.Sleep(time.Minute)
		es.compare(t, isOver)
	})
}

// An alert whose holder is gone for good ends, and one whose holder is away does not.
func TestAlertOfARemovedNodeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		es := newEscalators(t)
		f, nodes := newFakeMonitors(), []string{"away"}
		item := store.Item[[]Alert]{Value: []Alert{
			{Cause: "a", Since: time.Now(), Holders: []string{"removed", "away"}},
			{Cause: "b", Since: time.Now(), Holders: []string{"removed"}},
		}}
		if _, err := es.stored.Put(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		e, err := NewEscalator(t.Context(), EscalatorOptions{Monitors: f.get, Stored: &es.stored, Node: "first",
			Nodes: func() []string { return nodes }})
		if err != nil {
			t.Fatal(err)
		}
		if ended := e.look(t.Context()); len(ended) != 1 || ended[0].Cause != "b" || ended[0].Ended.IsZero() {
			t.Errorf("ended: %+v", ended)
		}
		nodes = nil
		if ended := e.look(t.Context()); len(ended) != 1 || ended[0].Cause != "a" || ended[0].Ended.IsZero() {
			t.Errorf("with no other node configured ended: %+v", ended)
		}
	})
}

// An alert ends although another writer has just changed another alert, or has left something that cannot be read.
func TestAlertEndsDespiteAConflict(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			es := newEscalators(t)
			f := newFakeMonitors()
			e, err := NewEscalator(t.Context(), EscalatorOptions{Monitors: f.get, Stored: &es.stored, Node: "first"})
			if err != nil {
				t.Fatal(err)
			}
			f.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
			time.Sleep(5 * time.Minute)
			e.look(t.Context())
			item, _ := es.stored.Get(t.Context())
			item.Value = append(item.Value, Alert{Cause: "another", Since: time.Now(), Holders: []string{"second"}})
			if damaged {
				_, err = es.kept.CompareAndSet(t.Context(), "alerts", item.Revision, []byte("{"))
			} else {
				_, err = es.stored.Put(t.Context(), item)
			}
			if err != nil {
				t.Fatal(err)
			}
			f.set(Healthy, None, "", "SelfTestMonitor/mbx1")
			time.Sleep(time.Minute)
			told := e.look(t.Context())
			if len(told) != 1 || told[0].Cause != "Networking of mbx1" || told[0].Ended.IsZero() {
				t.Errorf("damaged %v: told %+v", damaged, told)
			}
		})
	}
}
