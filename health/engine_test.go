package health

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
