package health

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// engineByHand is an engine with one probe, "S/P/mbx1", that runs by hand alone.
func engineByHand(run func(context.Context, *Run) error) *Engine {
	e := NewEngine(Options{})
	e.Use(one(run))
	return e
}

// hand runs the probe and returns how that came out.
func hand(t *testing.T, e *Engine) *Result {
	t.Helper()
	results, err := e.RunNow(t.Context(), "S", "P", "mbx1", ByHand{})
	if err != nil || len(results) != 1 {
		t.Fatalf("%v, %v", results, err)
	}
	return results[0]
}

// Whoever leaves while the probe runs, or while they wait for their turn, gets an error; the run leaves no result, and
// keeps nobody from the next.
func TestInterruptedByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("the caller has gone")
		var runs atomic.Int32
		e := engineByHand(func(ctx context.Context, _ *Run) error {
			runs.Add(1)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Second):
				return nil
			}
		})
		outcome := make(chan error, 2)
		run := func() (leave context.CancelCauseFunc) {
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				results, err := e.RunNow(ctx, "S", "P", "mbx1", ByHand{})
				if err != nil && results[0] != nil {
					t.Errorf("interrupted with a result: %+v", results[0])
				}
				outcome <- err
			}()
			synctest.Wait()
			return cancel
		}
		first := run()
		second := run()
		second(gone)
		if err := <-outcome; !errors.Is(err, gone) || runs.Load() != 1 {
			t.Errorf("left while waiting: %v after %d runs", err, runs.Load())
		}
		first(gone)
		if err := <-outcome; !errors.Is(err, gone) {
			t.Errorf("left while it runs: %v", err)
		}
		if p := e.Probes()[0]; p.Busy || len(p.Results) > 0 {
			t.Errorf("afterwards: busy %v, results %v", p.Busy, p.Results)
		}
		first, second = run(), run()
		defer first(nil)
		defer second(nil)
		for range 2 {
			if err := <-outcome; err != nil {
				t.Error(err)
			}
		}
		if n := runs.Load(); n != 3 {
			t.Errorf("%d runs", n)
		}
	})
}

// Runs of one probe never overlap. Whoever asks while one is on waits for its end and gets a run that began after it,
// but waits no longer than a run may take; one waits at a time.
func TestHandRunsOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var takes atomic.Int64
		takes.Store(int64(10 * time.Second))
		var at atomic.Int32
		e := engineByHand(func(context.Context, *Run) error {
			if at.Add(1) > 1 {
				t.Error("two runs at once")
			}
			time.Sleep(time.Duration(takes.Load()))
			at.Add(-1)
			return nil
		})
		results := make(chan *Result, 3)
		ask := func(n int) {
			for range n {
				go func() { results <- hand(t, e) }()
				synctest.Wait()
				time.Sleep(time.Second)
			}
		}
		ask(3)
		var types []ResultType
		for _, want := range []time.Duration{2 * time.Second, 0, 10 * time.Second} {
			r := <-results
			types = append(types, r.Type)
			if got := r.Start.Sub(began); got != want {
				t.Errorf("%v began after %v, not %v", r.Type, got, want)
			}
		}
		if !slices.Equal(types, []ResultType{Rejected, Succeeded, Succeeded}) {
			t.Errorf("three at once: %v", types)
		}
		takes.Store(int64(time.Hour))
		ask(2)
		if r := <-results; r.Type != Rejected || r.End.Sub(began) > time.Minute {
			t.Errorf("behind a run that does not end: %+v", r)
		}
		<-results
		takes.Store(0)
		if r := hand(t, e); r.Type != Succeeded {
			t.Errorf("afterwards: %v", r.Type)
		}
	})
}

// Results of all probes are numbered in order, from 1 on, whatever became of the run.
func TestResultNumbers(t *testing.T) {
	var fails bool
	run := func(context.Context, *Run) error {
		if fails {
			return errors.New("no")
		}
		return nil
	}
	e := NewEngine(Options{})
	plan := one(run)
	plan.Probes = append(plan.Probes, &Probe{HealthSet: "S", Name: "P", Target: "mbx2", Interval: time.Minute,
		Timeout: time.Minute, Run: run})
	e.Use(plan)
	for i, target := range []string{"mbx1", "mbx2", "mbx2", "mbx1"} {
		fails = i%2 == 1
		results, err := e.RunNow(t.Context(), "S", "P", target, ByHand{})
		if err != nil || results[0].ID != uint64(i+1) {
			t.Fatalf("run %d: %v, %v", i+1, results, err)
		}
	}
	for _, p := range e.Probes() {
		want := map[string][2]uint64{"mbx1": {4, 1}, "mbx2": {3, 2}}[p.Target]
		if len(p.Results) != 2 || p.Results[0].ID != want[0] || p.Results[1].ID != want[1] {
			t.Errorf("%s has %+v", p.Target, p.Results)
		}
	}
}

// Panics in a row put a probe in quarantine; a run without one begins the count again, and so does the end of the
// quarantine.
func TestQuarantineCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var panics bool
		e := engineByHand(func(context.Context, *Run) error {
			if panics {
				panic("ouch")
			}
			return errors.New("no")
		})
		expect := func(panicking bool, want ...ResultType) {
			t.Helper()
			panics = panicking
			for i, w := range want {
				if got := hand(t, e).Type; got != w {
					t.Errorf("run %d: %v, want %v", i+1, got, w)
				}
			}
		}
		for range maxPanics {
			expect(true, Poisoned, Poisoned)
			expect(false, Failed)
		}
		expect(true, Poisoned, Poisoned, Poisoned, Quarantined)
		until := time.Now().Add(quarantine)
		if p := e.Probes()[0]; !p.Until.Equal(until) {
			t.Errorf("in quarantine until %v, not %v", p.Until, until)
		}
		time.Sleep(quarantine - time.Nanosecond)
		expect(false, Quarantined)
		time.Sleep(time.Nanosecond)
		expect(true, Poisoned, Poisoned, Poisoned, Quarantined)
		if r := e.Probes()[0].Results[0]; r.Err != "the probe has panicked too often" || !r.ByHand {
			t.Errorf("%+v", r)
		}
	})
}
