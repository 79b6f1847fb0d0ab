package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"portico/bench"
)

func newBenchDiff() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff A.json B.json",
		Short: "Compare two measurements of the same work, and find regressions",
		Long: "Diff compares rounds of the same work, before and after a change. Each file holds what bench run or\n" +
			"bench compare writes with -o json. Take at least 5 rounds of each, for example by bench run --rounds 7 " +
			"-o json.\n" +
			"For each figure it prints the ratio of B to A with a confidence interval (Hodges-Lehmann estimate, " +
			"Mann-Whitney\n" +
			"test). A figure is worse if the whole interval is, by more than the tolerance. Single runs are cut " +
			"into parts,\n" +
			"which says less.\n\n" +
			"Exit status: 0 no regression is shown; 1 a regression; 2 the files cannot be compared, or hold too " +
			"few rounds;\n" +
			"3 with --strict: the tool was short of CPU in a round, so that latencies are its own.",
		Args: cobra.ExactArgs(2),
	}
	confidence := cmd.Flags().Float64("confidence", 95,
		"how sure a difference must be, in `percent`, for all judged figures together")
	tolerance := cmd.Flags().Float64("tolerance", 5, "the least change that matters, in `percent`")
	target := cmd.Flags().String("target", "", "`name` of the target, for files of bench compare with several")
	output := outputFlags(cmd)
	strict := strictFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var rounds [2][]*bench.Report
		for i, file := range args {
			var err error
			if rounds[i], err = bench.LoadReports(file, *target); err != nil {
				return err
			}
		}
		diff, err := bench.NewDiff(rounds[0], rounds[1],
			bench.DiffOptions{Confidence: *confidence / 100, Tolerance: *tolerance / 100})
		if err != nil {
			return err
		}
		if err := output.report(cmd.OutOrStdout(), diff); err != nil {
			return err
		}
		if diff.Undecided && !diff.Regression {
			return errors.New("too few rounds to judge: take at least 5 of each")
		}
		return measured(!diff.Regression, diff.ToolShort(), *strict)
	}
	return cmd
}
