package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"portico/sleep"
)

// warmUp counts what happens between the ramp and the measured time. Operations that are due in it count separately.
// If one of them fails in the measured time, that is an error of the measured time.
type warmUp struct {
	from, until          time.Time // zero if there is no warm-up
	operations, commands outcomeCounts
	errors               uint64
}

func (w *warmUp) record(r row, o outcome) {
	switch {
	case r.operation():
		w.operations[o]++
	case r.command():
		w.commands[o]++
	}
}

func (w *warmUp) add(o *warmUp) {
	w.operations.add(o.operations)
	w.commands.add(o.commands)
	w.errors += o.errors
}

// phaseOf returns the phase of something that was due at a time and has ended now. The caller holds mu.
func (s *shard) phaseOf(began time.Time) phase {
	switch {
	case s.phase == phaseBefore:
		return phaseBefore
	case !began.Before(s.warmUp.until):
		return max(s.phase, phaseMeasuring) // we may wake a little after the warm-up has ended
	case began.Before(s.warmUp.from):
		return phaseBefore
	}
	return phaseWarmUp
}

// warmUp begins the warm-up.
func (r *recorder) warmUp(from, until time.Time) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		s.phase, s.warmUp.from, s.warmUp.until = phaseWarmUp, from, until
		s.mu.Unlock()
	}
}

// warmUp runs operations before the measured time, and returns when that begins.
func (e *engine) warmUp(ctx context.Context) {
	if e.options.WarmUp == 0 {
		return
	}
	e.begin(time.Now())
	sleep.For(ctx, time.Until(e.measuredAt))
}

// WarmUp holds the counts of the warm-up. No other figure includes them.
type WarmUp struct {
	Seconds    float64  `json:"seconds"`
	Operations Outcomes `json:"operation_fates"`
	Commands   Outcomes `json:"command_fates"`
	Errors     uint64   `json:"errors"`
}

// warmUpOf reports the warm-up, if there was one.
func (e *engine) warmUpOf(all *results, measured time.Time) *WarmUp {
	if e.options.WarmUp == 0 {
		return nil
	}
	w := &all.warmUp
	return &WarmUp{measured.Sub(e.startedAt).Seconds(), w.operations.sum(), w.commands.sum(), w.errors}
}

// String describes the warm-up in one line.
func (w *WarmUp) String() string {
	return fmt.Sprintf("%s s, not counted: %d operations due: %s; %d errors",
		short(w.Seconds), w.Operations.All, w.Operations, w.Errors)
}

func (r *Report) writeWarmUp(b *strings.Builder) {
	if r.WarmUp != nil {
		fmt.Fprintf(b, "warm-up: %s\n", r.WarmUp)
	}
}
