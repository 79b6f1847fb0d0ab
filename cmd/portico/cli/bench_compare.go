package cli

import (
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"portico/bench"
)

func newBenchCompare() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "compare --config FILE",
		Short: "Run the same work against several servers in turn",
		Long: `Compare runs the same work against each target of a file, round by round and in
turn, so that other load on the machine affects all targets alike. It prints
medians, their spread, and ratios to one target.

Exit status: 0 all operations completed correctly; 1 some did not, or a
condition failed; 2 the comparison could not run; 3 with --strict: the tool was
short of CPU, so the latencies are not the server's alone; 130 a signal ended
the comparison early, and it covers the rounds until then.`,
		Args: cobra.NoArgs,
	}
	file := cmd.Flags().StringP("config", "c", "", "`file` with the work and the targets")
	cmd.MarkFlagRequired("config")
	output := outputFlags(cmd)
	remote := allowRemoteFlag(cmd)
	strict := strictFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		plan, err := bench.LoadComparePlan(*file)
		if err != nil {
			return err
		}
		interrupt, stop := untilSignals(cmd.Context())
		defer stop()
		ctx := interrupt.ending
		contestants, err := plan.Contestants(ctx, net.DefaultResolver, *remote)
		if err != nil {
			return err
		}
		for i := range contestants {
			contestants[i].Options.Cut = interrupt.cutting.Done()
		}
		told := func(round int, name string) {
			if onTerminal(cmd.ErrOrStderr()) {
				fmt.Fprintf(cmd.ErrOrStderr(), "\rround %d of %d: %s\x1b[K", round, plan.Rounds, name)
			}
		}
		result, err := bench.Compare(ctx, contestants, plan.Rounds, plan.Base, told)
		clearLine(cmd.ErrOrStderr())
		if result == nil {
			return endedBefore(ctx, err, cmd.ErrOrStderr())
		}
		if err := errors.Join(output.report(cmd.OutOrStdout(), result), err); err != nil {
			return err
		}
		return measured(verdict{result.Fine(), result.Short(), result.EndedEarly}, *strict)
	}
	return cmd
}
