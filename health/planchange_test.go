package health

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// A probe runs once in its interval, whatever plans have come before, and no more when it is in none.
func TestAnotherPlanEndsTheProbesBefore(t *testing.T) {
	var runs atomic.Int32
	plan := one(func(context.Context, *Run) error {
		runs.Add(1)
		return nil
	})
	simulated(t, plan, func(t *testing.T, e *Engine, _ func() []string) {
		time.Sleep(10 * time.Minute)
		for range 5 {
			e.Use(plan)
		}
		runs.Store(0)
		time.Sleep(time.Hour)
		if n := runs.Load(); n < 54 || n > 67 { // an interval is up to a tenth longer or shorter
			t.Errorf("%d runs in an hour", n)
		}
		e.Use(Plan{})
		runs.Store(0)
		time.Sleep(time.Hour)
		if n := runs.Load(); n != 0 {
			t.Errorf("%d runs of a probe that is in no plan", n)
		}
	})
}

// A monitor is Unavailable as soon as results have been missing for its time, though nothing else happens then.
func TestSilenceIsNoticedInTime(t *testing.T) {
	var hang atomic.Bool
	plan := one(func(context.Context, *Run) error {
		for hang.Load() {
			time.Sleep(time.Hour)
		}
		return nil
	})
	simulated(t, plan, func(t *testing.T, e *Engine, transitions func() []string) {
		time.Sleep(2 * time.Minute)
		hang.Store(true)
		time.Sleep(10 * time.Minute)
		transitions()
		m := e.Monitors()[0]
		if waited := m.LastTransition.Sub(m.LastResult.End); m.Value != Unavailable ||
			waited < m.StaleAfter || waited > m.StaleAfter+time.Second {
			t.Errorf("%v after %v without a result", m.Value, waited)
		}
		hang.Store(false)
	})
}
