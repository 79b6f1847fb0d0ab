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
func (r *benchRun) search(ctx context.Context, o bench.Options, page *resultFile) error {
	stop := r.watch.follow(r.cmd, &o, func() {})
	defer stop()
	search, err := r.findRate(ctx, o)
	if search == nil || len(search.Steps) == 0 {
		return endedBefore(ctx, err, r.cmd.ErrOrStderr())
	}
	err = errors.Join(r.output.report(r.cmd.OutOrStdout(), search), page.write(search.WriteHTML), err)
	if err != nil {
		return err
	}
	if search.Undecided() && !search.EndedEarly {
		return errDoubt
	}
	return measured(verdict{search.Fine(), search.ToolShort(), search.EndedEarly}, *r.strict)
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
	search, err := bench.FindRate(ctx, o, conditions, func(step int, rate, speed float64) {
		if onTerminal(errOut) {
			io.WriteString(errOut, "\r\x1b[K")
		}
		at := ""
		if speed > 0 {
			at = fmt.Sprintf(", speed %.4g", speed)
		}
		fmt.Fprintf(errOut, "step %d: %.4g operations per second%s\n", step, rate, at)
	})
	clearLine(errOut)
	return search, err
}
