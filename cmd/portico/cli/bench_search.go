package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"portico/bench"
)

// searchStep is how long a step of a search takes by default.
const searchStep = 10 * time.Second

// findRate searches for the highest rate at which conditions hold.
func findRate(ctx context.Context, cmd *cobra.Command, o bench.Options, texts []string,
	page string) (*bench.Search, error) {
	hold, err := bench.ParseConditions(texts)
	if err != nil {
		return nil, err
	}
	if o.Closed {
		return nil, errors.New("--find-rate searches for a rate, and --closed has none: leave out one of the two")
	}
	if !cmd.Flags().Changed("duration") && !cmd.Flags().Changed("replay") {
		o.Duration = searchStep
	}
	errOut := cmd.ErrOrStderr()
	if cmd.Flags().Changed("replay") {
		fmt.Fprintln(errOut, "searching with replays of the recording at different speeds")
	} else {
		fmt.Fprintf(errOut, "searching in steps of %v: at most %v\n", o.Duration,
			bench.SearchTime(o).Round(time.Second))
	}
	search, err := bench.FindRate(ctx, o, hold, func(step int, rate float64) {
		if onTerminal(errOut) {
			io.WriteString(errOut, "\r\x1b[K")
		}
		fmt.Fprintf(errOut, "step %d: %.4g operations per second\n", step, rate)
	})
	clearLine(errOut)
	if err != nil {
		return nil, err
	}
	if page != "" {
		if err := writeFile(page, search.WriteHTML); err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
	}
	return search, nil
}
