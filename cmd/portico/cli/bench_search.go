package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"portico/bench"
)

// searchStep is the default duration of a step of a search.
const searchStep = 10 * time.Second

// search finds the highest rate at which the conditions of --find-rate hold, writes the report and returns the
// verdict.
func (r *benchRun) search(ctx context.Context, o bench.Options) error {
	stop, err := r.watch.follow(r.cmd, &o, func() {})
	if err != nil {
		return err
	}
	defer stop()
	search, err := r.findRate(ctx, o)
	if err != nil {
		return err
	}
	if err := writePage(r.page, search.WriteHTML); err != nil {
		return err
	}
	if err := r.output.report(r.cmd.OutOrStdout(), search); err != nil {
		return err
	}
	return measured(search.Fine(), search.ToolLimit, *r.strict)
}

// findRate does the runs of a search, and prints a line for each.
func (r *benchRun) findRate(ctx context.Context, o bench.Options) (*bench.Search, error) {
	conditions, err := bench.ParseConditions(r.find)
	if err != nil {
		return nil, err
	}
	if o.Closed {
		return nil, errors.New("--find-rate searches for a rate, and --closed has none: leave out one of the two")
	}
	replayed := r.plan.Replay != ""
	if r.plan.Duration == nil && !replayed {
		o.Duration = searchStep
	}
	errOut := r.cmd.ErrOrStderr()
	if replayed {
		fmt.Fprintln(errOut, "searching with replays of the recording at different speeds")
	} else {
		fmt.Fprintf(errOut, "searching in steps of %v: at most %v\n", o.Duration,
			bench.SearchTime(o).Round(time.Second))
	}
	search, err := bench.FindRate(ctx, o, conditions, func(step int, rate float64) {
		if onTerminal(errOut) {
			io.WriteString(errOut, "\r\x1b[K")
		}
		fmt.Fprintf(errOut, "step %d: %.4g operations per second\n", step, rate)
	})
	clearLine(errOut)
	return search, err
}
