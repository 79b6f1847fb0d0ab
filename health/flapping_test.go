package health

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// From the third fault in half an hour on a monitor flaps, though no fault is Unhealthy, until half an hour is quiet.
// The engine sleeps meanwhile.
func TestFlapping(t *testing.T) {
	var broken atomic.Bool
	plan := one(func(context.Context, *Run) error {
		if broken.Load() {
			return errors.New("no")
		}
		return nil
	})
	plan.Monitors[0].Flapping = Flapping{Changes: 4, Window: 30 * time.Minute}
	var looks atomic.Int64
	synctest.Test(t, func(t *testing.T) {
		e := NewEngine(Options{Random: seeded(1), Now: func() time.Time {
			looks.Add(1)
			return time.Now()
		}})
		e.Use(plan)
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { e.Run(ctx) })
		until := func(ok func(m MonitorState) bool) {
			for !ok(e.Monitors()[0]) {
				time.Sleep(time.Second)
			}
		}
		time.Sleep(2 * time.Minute)
		for fault := range 4 {
			broken.Store(true)
			until(func(m MonitorState) bool { return m.InRow >= 3 })
			broken.Store(false)
			until(func(m MonitorState) bool { return m.InRow == 0 })
			m := e.Monitors()[0]
			if flaps := !m.FlapsSince.IsZero(); flaps != (fault >= 2) || flaps != (m.Value == Degraded) ||
				m.Failing() {
				t.Errorf("after fault %d: %v, flaps %v, failing %v", fault+1, m.Value, flaps, m.Failing())
			}
			if held := time.Until(m.FlapsUntil); (fault >= 2) != (held > 29*time.Minute &&
				held <= 30*time.Minute) {
				t.Errorf("after fault %d it flaps until %v, now is %v", fault+1, m.FlapsUntil, time.Now())
			}
		}
		looks.Store(0)
		time.Sleep(28 * time.Minute)
		if got := states(e); got != "M/mbx1 Degraded" {
			t.Errorf("28 minutes later: %s", got)
		}
		if n := looks.Load(); n > 28*20 {
			t.Errorf("the engine has looked %d times in 28 minutes", n)
		}
		time.Sleep(3 * time.Minute)
		if m := e.Monitors()[0]; m.Value != Healthy || !m.FlapsSince.IsZero() || !m.FlapsUntil.IsZero() {
			t.Errorf("31 minutes later: %v", m.Value)
		}
		cancel()
		work.Wait()
	})
}

// A monitor that flaps does so after a restart too, until it has been quiet; whether it failed when the process ended
// or not, the restart itself is no change.
func TestFlappingOutlivesARestart(t *testing.T) {
	for _, failing := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var broken atomic.Bool
			plan := one(func(context.Context, *Run) error {
				if broken.Load() {
					return errors.New("no")
				}
				return nil
			})
			plan.Monitors[0].Flapping = Flapping{Changes: 4, Window: 30 * time.Minute}
			var saved []byte
			start := func() (e *Engine, stop func()) {
				e = NewEngine(Options{Random: seeded(1), Saved: saved, Failed: func(err error) { t.Error(err) },
					Save: func(text []byte) error { saved = text; return nil }})
				ctx, cancel := context.WithCancel(t.Context())
				var work sync.WaitGroup
				work.Go(func() { e.Run(ctx) })
				synctest.Wait() // it runs without a plan first
				e.Use(plan)
				return e, func() { cancel(); work.Wait() }
			}
			until := func(e *Engine, ok func(m MonitorState) bool) {
				for !ok(e.Monitors()[0]) {
					time.Sleep(time.Second)
				}
			}
			e, stop := start()
			fails := func(m MonitorState) bool { return m.InRow >= 3 }
			well := func(m MonitorState) bool { return m.WellInRow > 0 }
			until(e, well)
			for range 2 {
				broken.Store(true)
				until(e, fails)
				broken.Store(false)
				until(e, well)
			}
			broken.Store(true)
			until(e, fails)
			synctest.Wait()
			if broken.Store(failing); !failing {
				until(e, well)
			}
			since := e.Monitors()[0].FlapsSince
			stop()
			if since.IsZero() {
				t.Fatal("it does not flap")
			}
			time.Sleep(time.Minute)
			e, stop = start()
			time.Sleep(5 * time.Minute)
			m := e.Monitors()[0]
			if !m.FlapsSince.Equal(since) || m.Failing() != failing || !failing && m.Value != Degraded {
				t.Errorf("failing %v: after a restart it is %v, and flaps since %v, before since %v", failing, m.Value,
					m.FlapsSince, since)
			}
			if changes := len(e.monitors[m.ID()].flaps.changes); changes != 5 {
				t.Errorf("failing %v: %d changes are known", failing, changes)
			}
			broken.Store(false)
			time.Sleep(31 * time.Minute)
			if m := e.Monitors()[0]; m.Value != Healthy {
				t.Errorf("half an hour later it is %v", m.Value)
			}
			stop()
			if string(saved) != "{}" {
				t.Errorf("saved is %s", saved)
			}
		})
	}
	future := time.Now().Add(time.Hour).Format(time.RFC3339)
	e := NewEngine(Options{Saved: []byte(`{"P/M/mbx1": {"changes": ["` + future + `"]}}`)})
	if f := e.recalled["P/M/mbx1"]; len(f.changes) > 0 {
		t.Errorf("changes at %v are recalled", f.changes)
	}
	var failed error
	NewEngine(Options{Saved: []byte("no"), Failed: func(err error) { failed = err }})
	if failed == nil {
		t.Error("what cannot be read is not reported")
	}
}

// A monitor that flaps is looked at when its quiet time ends, though no result comes. Until then it stays Degraded.
func TestFlappingEndsWithoutAResult(t *testing.T) {
	began := time.Unix(0, 0)
	for name, stale := range map[string]time.Duration{"never stale": 0, "stale later": 2 * time.Hour} {
		m := newMonitor(Monitor{Flapping: Flapping{1, 30 * time.Minute}, StaleAfter: stale}, began)
		m.judge(&Result{Type: Failed, Start: began, End: began}, began)
		if at := m.next(); !at.Equal(began.Add(defaultUnhealthyAfter)) {
			t.Errorf("%s: after a failure it is looked at at %v", name, at)
		}
		well := began.Add(10 * time.Second)
		m.judge(&Result{Type: Succeeded, Start: well, End: well}, well)
		quiet := well.Add(30 * time.Minute)
		if at := m.next(); m.Value != Degraded || !at.Equal(quiet) {
			t.Fatalf("%s: it is %v, and looked at at %v; want Degraded, %v", name, m.Value, at, quiet)
		}
		if m.look(quiet.Add(-1)) || !m.look(quiet) || m.Value != Healthy {
			t.Errorf("%s: when it was quiet for half an hour, it is %v", name, m.Value)
		}
	}
}

// Changes count for a window, and not at all if none are given; another plan is in force at once.
func TestFlappingWindow(t *testing.T) {
	began := time.Unix(0, 0)
	for _, cell := range []struct {
		of    Flapping
		every time.Duration
		want  bool
	}{
		{Flapping{4, 30 * time.Minute}, 7 * time.Minute, true},
		{Flapping{4, 30 * time.Minute}, 7*time.Minute + 30*time.Second, true},
		{Flapping{4, 30 * time.Minute}, 8 * time.Minute, false},
		{Flapping{1000, 30 * time.Minute}, time.Second, false},
		{Flapping{0, 30 * time.Minute}, time.Second, false},
		{Flapping{1, time.Hour}, time.Hour, false}, // an hour without a change has been quiet
		{Flapping{1, time.Hour}, 59 * time.Minute, true},
	} {
		var f flaps
		now, since := began, time.Time{}
		for i := range 21 {
			now = now.Add(cell.every)
			since = f.look(cell.of, i%2 == 0, now)
		}
		if since.IsZero() == cell.want {
			t.Errorf("%+v, changes each %v: since %v", cell.of, cell.every, since)
		}
		if since := f.look(Flapping{}, false, now); !since.IsZero() || len(f.changes) > 0 {
			t.Errorf("%+v: it still flaps though it may", cell.of)
		}
	}
}
