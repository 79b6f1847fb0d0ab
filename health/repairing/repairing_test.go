package repairing

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/configs/store"
	"portico/health"
)

func plan(targets ...string) (p health.Plan) {
	for _, target := range targets {
		p.Monitors = append(p.Monitors, health.Monitor{HealthSet: "S", Name: "M", Target: target, Failures: 1})
	}
	return p
}

// A monitor is Repairing whoever says so, this process or another writer, after a restart too, and also if it comes
// with a later plan.
func TestFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		defer kept.Close()
		open := func() (*Set, *health.Engine) {
			engine := health.NewEngine(health.Options{})
			engine.Use(plan("a", "b"))
			s, err := Open(t.Context(), store.SetOf[bool](kept, "health/repairing/"), engine,
				func(err error) { t.Error(err) })
			if err != nil {
				t.Fatal(err)
			}
			go s.Run(t.Context())
			synctest.Wait()
			return s, engine
		}
		s, engine := open()
		other, _ := open()
		want := func(engine *health.Engine, names string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for _, m := range engine.Monitors() {
				if m.Value == health.Repairing {
					got = append(got, m.Target)
				}
			}
			if strings.Join(got, "") != names {
				t.Errorf("Repairing are %q, want %q", got, names)
			}
		}
		set := func(s *Set, id string, on, wasWanted bool) {
			t.Helper()
			if was, err := s.Set(t.Context(), id, on); err != nil || was != wasWanted {
				t.Errorf("%s: it was %v, %v", id, was, err)
			}
		}
		set(s, "S/M/a", true, false)
		want(engine, "a")
		set(other, "S/M/b", true, false)
		set(other, "S/M/c", true, false)
		set(other, "S/M/a", true, true)
		want(engine, "ab")
		set(other, "S/M/a", false, true)
		want(engine, "b")
		engine.Use(plan("b", "c"))
		s.Apply()
		want(engine, "bc")
		again, restarted := open()
		again.Apply()
		want(restarted, "b")
	})
}

// A stored mark that cannot be read counts as none. It can be set again, and removed.
func TestUnreadable(t *testing.T) {
	kept := store.Memory()
	defer kept.Close()
	engine := health.NewEngine(health.Options{})
	engine.Use(plan("a"))
	const key = "health/repairing/S/M/a"
	for _, on := range []bool{true, false} {
		entry, _ := kept.Get(t.Context(), key)
		if _, err := kept.CompareAndSet(t.Context(), key, entry.Revision, []byte("{")); err != nil {
			t.Fatal(err)
		}
		var failed []error
		s, err := Open(t.Context(), store.SetOf[bool](kept, "health/repairing/"), engine,
			func(err error) { failed = append(failed, err) })
		if err != nil || len(failed) != 1 {
			t.Fatalf("%v, %d failures reported", err, len(failed))
		}
		s.Apply()
		if was, err := s.Set(t.Context(), "S/M/a", on); was || err != nil {
			t.Errorf("it was %v, %v", was, err)
		}
		if got := engine.Monitors()[0].Value == health.Repairing; got != on {
			t.Errorf("Repairing is %v, want %v", got, on)
		}
	}
}

// slowEngine is an engine that takes its time when it is first asked which monitors it has; marks are what it was told.
type slowEngine struct {
	begun, goOn chan struct{}
	calls       atomic.Int32

	mu    sync.Mutex
	marks map[string]bool
}

func (e *slowEngine) Monitors() []health.MonitorState {
	if e.calls.Add(1) == 1 {
		close(e.begun)
		<-e.goOn
	}
	return []health.MonitorState{{Monitor: health.Monitor{HealthSet: "S", Name: "M", Target: "a"}}}
}

func (e *slowEngine) SetRepairing(id string, on bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.marks[id] = on
	return nil
}

// A mark that is set while a new plan is applied is not lost.
func TestMarkDuringApply(t *testing.T) {
	kept := store.Memory()
	defer kept.Close()
	engine := &slowEngine{begun: make(chan struct{}), goOn: make(chan struct{}), marks: make(map[string]bool)}
	stored := store.SetOf[bool](kept, "health/repairing/")
	s, err := Open(t.Context(), stored, engine, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	both.Go(s.Apply)
	<-engine.begun
	both.Go(func() {
		if _, err := s.Set(t.Context(), "S/M/a", true); err != nil {
			t.Error(err)
		}
	})
	testkit.Eventually(t, "the mark is stored", func() bool {
		item, err := stored.Get(t.Context(), "S/M/a")
		return err == nil && item.Revision != 0
	})
	time.Sleep(20 * time.Millisecond) // time for a mark to overtake, if it could
	close(engine.goOn)
	both.Wait()
	if !engine.marks["S/M/a"] {
		t.Error("the store says Repairing, the engine does not")
	}
}
