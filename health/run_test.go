package health

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

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
