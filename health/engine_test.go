package health

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portico/health/catalogue"
)

// simulated runs a test in a time that passes by itself, with an engine at work on a plan. transitions returns what
// monitors have done so far.
func simulated(t *testing.T, plan Plan, test func(t *testing.T, e *Engine, transitions func() []string)) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		told := make(chan string, 10_000)
		e := NewEngine(Options{Random: seeded(1), Changed: func(before AlertValue, now MonitorState) {
			told <- fmt.Sprintf("%s %v->%v after %v", nameOf(now.Name, now.Target), before, now.Value,
				time.Since(began).Round(time.Second))
		}})
		e.Use(plan)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			e.Run(ctx)
			close(done)
		}()
		test(t, e, func() (all []string) {
			synctest.Wait()
			for {
				select {
				case line := <-told:
					all = append(all, line)
				default:
					return all
				}
			}
		})
		cancel()
		<-done
	})
}

// seeded returns random numbers for several goroutines, the same in each run but for who gets which.
func seeded(seed uint64) func() float64 {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 2))
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return random.Float64()
	}
}

// one is a plan of one probe and its monitor, as ImapSelfTest has them.
func one(run func(context.Context, *Run) error) Plan {
	return Plan{
		Probes: []*Probe{{HealthSet: "S", Name: "P", Target: "mbx1", Interval: time.Minute,
			Timeout: 20 * time.Second, Run: run}},
		Monitors: []Monitor{{HealthSet: "S", Name: "M", Target: "mbx1", Probe: "P", Failures: 3,
			StaleAfter: 5 * time.Minute}},
	}
}

func states(e *Engine) string {
	var all []string
	for _, m := range e.Monitors() {
		all = append(all, nameOf(m.Name, m.Target)+" "+m.Value.String())
	}
	return strings.Join(all, ", ")
}

// Three failures in a row degrade, a minute more is unhealthy, one success heals; each within the time that intervals
// and time-outs say.
func TestMonitorTurnsAndTurnsBack(t *testing.T) {
	var broken atomic.Bool
	simulated(t, one(func(_ context.Context, run *Run) error {
		run.Step("dial")
		time.Sleep(10 * time.Millisecond)
		if broken.Load() {
			return &Failure{Networking, "dial", errors.New("refused")}
		}
		return nil
	}), func(t *testing.T, e *Engine, transitions func() []string) {
		if got := states(e); got != "M/mbx1 UnInitialized" {
			t.Errorf("at first: %s", got)
		}
		time.Sleep(2 * time.Minute)
		if got := transitions(); len(got) != 1 || !strings.HasPrefix(got[0], "M/mbx1 UnInitialized->Healthy") {
			t.Errorf("then: %q", got)
		}
		broken.Store(true)
		time.Sleep(2 * time.Minute)
		if got := transitions(); len(got) != 0 {
			t.Errorf("two failures turn it: %q", got)
		}
		time.Sleep(2*time.Minute + 20*time.Second) // the third, and a minute more
		if got := transitions(); len(got) != 2 || !strings.Contains(got[0], "Healthy->Degraded") ||
			!strings.Contains(got[1], "Degraded->Unhealthy") {
			t.Errorf("with the fault: %q", got)
		}
		m := e.Monitors()[0]
		if m.LastFailure.Dependency != Networking || m.LastFailure.Phase != "dial" ||
			m.LastFailure.Err != "dial: refused" || m.LastFailure.Steps[0].Took != 10*time.Millisecond {
			t.Errorf("the failure is %+v", m.LastFailure)
		}
		if waited := m.LastTransition.Sub(m.FirstAlert); waited != time.Minute {
			t.Errorf("degraded for %v", waited)
		}
		if set := e.Sets()[0]; set.Value != Unhealthy || set.LastTransition != m.LastTransition {
			t.Errorf("the set is %v", set.Value)
		}
		broken.Store(false)
		time.Sleep(80 * time.Second)
		if got := transitions(); len(got) != 1 || !strings.Contains(got[0], "Unhealthy->Healthy") {
			t.Errorf("when it is over: %q", got)
		}
	})
}

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
			if held := m.FlapsUntil.Sub(time.Now()); (fault >= 2) != (held > 29*time.Minute &&
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

// A server that dies while users sign in is Unhealthy in half a minute, whether it refuses connections or packets are
// lost. What is seen of a server that is well turns nothing, and keeps no probe busy.
func TestHurry(t *testing.T) {
	for name, takes := range map[string]time.Duration{"refused": time.Millisecond, "no answer": 5 * time.Second} {
		var dead atomic.Bool
		var runs atomic.Int64
		simulated(t, one(func(_ context.Context, run *Run) error {
			runs.Add(1)
			if dead.Load() {
				time.Sleep(takes)
				return &Failure{Networking, "dial", errors.New("dead")}
			}
			return nil
		}), func(t *testing.T, e *Engine, transitions func() []string) {
			users := func(d time.Duration) {
				for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
					e.Hurry("S", "P", "mbx1")
				}
			}
			time.Sleep(5 * time.Minute)
			runs.Store(0)
			users(3 * time.Minute)
			if got := states(e); got != "M/mbx1 Healthy" || runs.Load() > 3*60/6+1 {
				t.Errorf("%s: well: %s after %d runs", name, got, runs.Load())
			}
			transitions()
			dead.Store(true)
			users(24 * time.Second)
			if got := states(e); got != "M/mbx1 Unhealthy" {
				t.Errorf("%s: %s: %q", name, got, transitions())
			}
			runs.Store(0)
			users(10 * time.Minute)
			if n := runs.Load(); n > 11 {
				t.Errorf("%s: %d runs in ten minutes, though nothing is to be found out", name, n)
			}
			dead.Store(false)
			time.Sleep(70 * time.Second)
			if got := states(e); got != "M/mbx1 Healthy" {
				t.Errorf("%s: %s after the fault", name, got)
			}
		})
	}
}

// A probe whose target was restarted is repeated until it succeeds, also if its monitor is Unhealthy and another plan
// comes, and no longer than somebody waits.
func TestFollow(t *testing.T) {
	var dead atomic.Bool
	var runs atomic.Int64
	plan := one(func(context.Context, *Run) error {
		runs.Add(1)
		if dead.Load() {
			return errors.New("no")
		}
		return nil
	})
	simulated(t, plan, func(t *testing.T, e *Engine, _ func() []string) {
		dead.Store(true)
		time.Sleep(10 * time.Minute)
		if got := states(e); got != "M/mbx1 Unhealthy" {
			t.Fatal(got)
		}
		runs.Store(0)
		e.Follow("S/M/none", time.Now().Add(time.Hour))
		e.Follow("S/M/mbx1", time.Now().Add(2*time.Minute))
		time.Sleep(time.Minute)
		e.Use(plan)
		time.Sleep(time.Minute)
		if n := runs.Load(); n < 18 || n > 22 {
			t.Errorf("%d runs in two minutes", n)
		}
		runs.Store(0)
		time.Sleep(10 * time.Minute)
		if n := runs.Load(); n > 12 {
			t.Errorf("%d runs in the ten minutes after it", n)
		}
		e.Follow("S/M/mbx1", time.Now().Add(time.Hour))
		time.Sleep(time.Minute)
		dead.Store(false)
		time.Sleep(7 * time.Second)
		if got := states(e); got != "M/mbx1 Healthy" {
			t.Errorf("when it is back: %s", got)
		}
		runs.Store(0)
		time.Sleep(10 * time.Minute)
		if n := runs.Load(); n > 12 {
			t.Errorf("%d runs in ten minutes though it is back", n)
		}
	})
}

// Another number of failures is in force at once, while failures run too.
func TestOtherNumberOfFailures(t *testing.T) {
	fails := one(func(context.Context, *Run) error { return errors.New("no") })
	with := func(failures string) Plan {
		return fails.With([]Override{{ItemType: ItemMonitor, Identity: "S/M", Property: "MonitoringThreshold",
			Value: failures}}, time.Now(), "")
	}
	simulated(t, with("100"), func(t *testing.T, e *Engine, _ func() []string) {
		time.Sleep(20 * time.Minute)
		if got := states(e); got != "M/mbx1 UnInitialized" {
			t.Fatal(got)
		}
		e.Use(with("4"))
		if got := states(e); got != "M/mbx1 Degraded" {
			t.Errorf("a lower number: %s", got)
		}
		time.Sleep(time.Minute)
		if got := states(e); got != "M/mbx1 Unhealthy" {
			t.Errorf("a minute later: %s", got)
		}
		e.Use(with("100"))
		if m := e.Monitors()[0]; m.Value != Healthy || !m.FirstAlert.IsZero() {
			t.Errorf("a higher number: %v, fails since %v", m.Value, m.FirstAlert)
		}
	})
}

// A probe that hangs ends at its time-out; one that panics is poisoned, then left alone for a time; both count as
// failures, and nothing else goes down.
func TestProbesThatHangAndPanic(t *testing.T) {
	plan := one(func(ctx context.Context, run *Run) error {
		run.Step("select")
		<-ctx.Done()
		return &Failure{InformationStore, "select", ctx.Err()}
	})
	var runs atomic.Int32
	plan.Probes = append(plan.Probes, &Probe{HealthSet: "S", Name: "P", Target: "mad", Interval: time.Minute,
		Timeout: time.Second, Run: func(context.Context, *Run) error {
			runs.Add(1)
			panic("ouch")
		}})
	plan.Monitors = append(plan.Monitors, Monitor{HealthSet: "S", Name: "M", Target: "mad", Probe: "P", Failures: 3})
	simulated(t, plan, func(t *testing.T, e *Engine, _ func() []string) {
		time.Sleep(10 * time.Minute)
		if got := states(e); got != "M/mad Unhealthy, M/mbx1 Unhealthy" {
			t.Errorf("states are %s", got)
		}
		for _, p := range e.Probes() {
			switch last := p.Results[0]; {
			case p.Target == "mbx1" && (last.Type != Timeout || last.Dependency != InformationStore ||
				last.End.Sub(last.Start) != 20*time.Second):
				t.Errorf("%+v", last)
			case p.Target == "mad" && (last.Type != Quarantined || p.Until.IsZero() || runs.Load() != maxPanics):
				t.Errorf("%+v after %d runs", last, runs.Load())
			case p.Target == "mad" && !strings.Contains(p.Results[len(p.Results)-1].Err, "panic: ouch"):
				t.Errorf("%+v", p.Results[len(p.Results)-1])
			}
		}
		time.Sleep(quarantine)
		if runs.Load() <= maxPanics {
			t.Error("it is left alone for ever")
		}
	})
}

// A run by hand does not count; while it goes on the probe's own run is rejected, and the other way round.
func TestByHand(t *testing.T) {
	var broken atomic.Bool
	plan := one(func(_ context.Context, run *Run) error {
		time.Sleep(time.Second)
		if broken.Load() || run.Account == "nobody" {
			return errors.New("no")
		}
		return nil
	})
	plan.Monitors[0].Failures = 1
	simulated(t, plan, func(t *testing.T, e *Engine, transitions func() []string) {
		time.Sleep(time.Minute + 30*time.Second)
		transitions()
		for range 5 {
			results, err := e.RunNow(t.Context(), "s", "p", "", ByHand{Account: "nobody"})
			if err != nil || len(results) != 1 || results[0].Type != Failed || !results[0].ByHand {
				t.Fatalf("%v, %v", results, err)
			}
		}
		if got := transitions(); len(got) != 0 {
			t.Errorf("runs by hand count: %q", got)
		}
		all := make(chan ResultType, 3)
		for range 3 { // one runs, one waits for its end and runs then
			go func() {
				results, err := e.RunNow(t.Context(), "S", "P", "mbx1", ByHand{})
				if err != nil {
					t.Error(err)
				}
				all <- results[0].Type
			}()
		}
		types := []ResultType{<-all, <-all, <-all}
		slices.Sort(types)
		if !slices.Equal(types, []ResultType{Succeeded, Succeeded, Rejected}) {
			t.Errorf("three at once: %v", types)
		}
		if _, err := e.RunNow(t.Context(), "S", "Q", "", ByHand{}); !errors.Is(err, ErrUnknown) {
			t.Errorf("no such probe: %v", err)
		}
		results, err := e.RunNow(t.Context(), "S", "P", "mbx1", ByHand{Timeout: 100 * time.Millisecond})
		if err != nil || results[0].Type != Succeeded { // it ends late, and well
			t.Errorf("%v, %v", results, err)
		}
	})
}

// Where results stop coming, that is noticed; repairing is shown; another plan keeps what is known.
func TestStaleRepairingAndAnotherPlan(t *testing.T) {
	var hang atomic.Bool
	plan := one(func(context.Context, *Run) error {
		for hang.Load() {
			time.Sleep(time.Second)
		}
		return nil
	})
	simulated(t, plan, func(t *testing.T, e *Engine, transitions func() []string) {
		time.Sleep(2 * time.Minute)
		if err := e.SetRepairing("S/M/mbx1", true); err != nil {
			t.Fatal(err)
		}
		if got := states(e); got != "M/mbx1 Repairing" {
			t.Errorf("states are %s", got)
		}
		if err := e.SetRepairing("S/M/none", true); !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
		e.SetRepairing("S/M/mbx1", false)
		transitions()
		e.Use(plan)
		if got := states(e); got != "M/mbx1 Healthy" {
			t.Errorf("after another plan: %s", got)
		}
		hang.Store(true)
		time.Sleep(10 * time.Minute)
		if got := transitions(); len(got) != 1 || !strings.Contains(got[0], "Healthy->Unavailable") {
			t.Errorf("without results: %q", got)
		}
		hang.Store(false)
		time.Sleep(3 * time.Minute)
		if got := states(e); got != "M/mbx1 Healthy" {
			t.Errorf("when they come again: %s", got)
		}
		e.Use(Plan{})
		if got := states(e); got != "" {
			t.Errorf("without a plan: %s", got)
		}
	})
}

// A plan may come at any time, also while probes start and are run by hand: run with -race. Each run belongs to one
// plan.
func TestAnotherPlanWhileProbesRun(t *testing.T) {
	planOf := func(timeout time.Duration) Plan {
		plan := one(func(ctx context.Context, _ *Run) error {
			if deadline, _ := ctx.Deadline(); time.Until(deadline) > timeout {
				return errors.New("the time-out is another plan's")
			}
			return nil
		})
		plan.Probes[0].Timeout = timeout
		return plan
	}
	plans := []Plan{planOf(time.Minute), planOf(time.Hour)}
	e := NewEngine(Options{Random: func() float64 { return 0 }})
	e.Use(plans[0])
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { e.Run(ctx) })
	work.Go(func() {
		defer cancel()
		for i := range 500 {
			e.Use(plans[i%2])
		}
	})
	work.Go(func() {
		for ctx.Err() == nil {
			results, err := e.RunNow(ctx, "S", "P", "", ByHand{})
			if err == nil && results[0].Type == Failed {
				t.Error(results[0].Err)
			}
		}
	})
	work.Wait()
}

// A day of 20 servers whose probes fail now and then, alone: nothing alerts.
func TestNoFalseAlarms(t *testing.T) {
	for seed := range uint64(5) {
		var plan Plan
		random := seeded(seed)
		var isolated [20]bool // the run before has failed
		for i := range 20 {
			target := fmt.Sprintf("mbx%02d", i)
			plan.Probes = append(plan.Probes, &Probe{
				HealthSet: catalogue.SetProtocol, Name: catalogue.ImapSelfTestProbe, Target: target,
				Interval: time.Minute,
				Timeout:  20 * time.Second,
				Run: func(context.Context, *Run) error {
					if isolated[i] = !isolated[i] && random() < 0.01; isolated[i] {
						return errors.New("now and then")
					}
					return nil
				},
			})
			plan.Monitors = append(plan.Monitors, Monitor{
				HealthSet: catalogue.SetProtocol, Name: catalogue.ImapSelfTestMonitor,
				Target: target, Probe: catalogue.ImapSelfTestProbe, Failures: 3})
		}
		simulated(t, plan, func(t *testing.T, e *Engine, transitions func() []string) {
			time.Sleep(24 * time.Hour)
			for _, line := range transitions() {
				if !strings.Contains(line, "UnInitialized->Healthy") {
					t.Errorf("seed %d: %s", seed, line)
				}
			}
			results := 0
			for _, p := range e.Probes() {
				results += len(p.Results)
			}
			if results < 20*(keptGood+5) {
				t.Errorf("%d results are kept", results)
			}
		})
	}
}

// The average counts commands that still wait with their age, and a time without any says nothing.
func TestAverageTime(t *testing.T) {
	load := []Load{{Server: "mbx1"}, {Server: "mbx2", Finished: 1000, Spent: time.Second}}
	check := AverageTime(func() []Load { return load }, "mbx1", time.Minute)
	for i, step := range []struct {
		finished uint64
		spent    time.Duration
		open     int
		age      time.Duration
		want     float64 // -1: no sample
		bad      bool
	}{
		{100, time.Second, 0, 0, -1, false},
		{100, time.Second, 0, 0, 0, false}, // nobody asks it anything
		{200, 2 * time.Second, 0, 0, 0.01, false},
		{200, 2 * time.Second, 2, 10 * time.Minute, 300, true},
		{201, 12 * time.Minute, 0, 0, 718, true},
		{201, 12 * time.Minute, 0, 0, 0, false}, // its users have gone elsewhere
		{301, 12*time.Minute + time.Second, 1, time.Minute, 61. / 101, false},
	} {
		load[0].Finished, load[0].Spent, load[0].Open, load[0].Age = step.finished, step.spent, step.open, step.age
		run := new(Run)
		switch err := check(t.Context(), run); {
		case step.want < 0 && !errors.Is(err, ErrNoSample):
			t.Errorf("%d: %v", i, err)
		case step.want >= 0 && (run.Value < step.want-0.001 || run.Value > step.want+0.001 ||
			(err != nil) != step.bad):
			t.Errorf("%d: %v s, %v", i, run.Value, err)
		}
	}
}

func TestQueued(t *testing.T) {
	load := func() []Load { return []Load{{Server: "mbx1", Queued: 501}, {Server: "mbx2", Queued: 2}} }
	for server, want := range map[string]float64{"mbx1": 501, "mbx2": 2, "": 503} {
		run := new(Run)
		err := Queued(load, server, 500)(t.Context(), run)
		if run.Value != want || (err != nil) != (want > 500) {
			t.Errorf("%q: %v, %v", server, run.Value, err)
		}
	}
}
