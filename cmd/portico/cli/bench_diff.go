package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"portico/bench"
)

func newBenchDiff() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff A.json [B.json]",
		Short: "Compare two measurements of the same work and find regressions",
		Long: `Diff compares rounds of the same work before and after a change. Each file holds
what bench run or bench compare writes with -o json. Take at least 5 rounds of
each, for example with bench run --rounds 7 -o json.

For each figure it prints the ratio of B to A with a confidence interval
(Hodges-Lehmann estimate, Mann-Whitney test). A figure is worse if its whole
interval is worse by more than the tolerance. Diff splits single runs into
parts, which gives weaker evidence. With one file of bench compare and --target
twice, diff compares two targets by their rounds.

Exit status: 0 no regression found; 1 a regression; 2 the files cannot be
compared or hold too few rounds; 3 with --strict: the tool was short of CPU in a
round, so the latencies are not the server's alone.`,
		Args: cobra.RangeArgs(1, 2),
	}
	confidence := cmd.Flags().Float64("confidence", 95,
		"required confidence in `percent`, for all judged figures together")
	tolerance := cmd.Flags().Float64("tolerance", 5, "smallest change that counts, in `percent`")
	targets := cmd.Flags().StringArray("target", nil,
		"`name` of a target in a file of bench compare; if repeated, the second is that of B")
	output := outputFlags(cmd)
	strict := strictFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sides, err := diffSides(args, *targets)
		if err != nil {
			return err
		}
		var rounds [2][]*bench.Report
		for i, side := range sides {
			if rounds[i], err = bench.LoadReports(side.file, side.target); err != nil {
				return err
			}
		}
		diff, err := bench.NewDiff(rounds[0], rounds[1], bench.DiffOptions{
			Confidence: *confidence / 100, Tolerance: *tolerance / 100, Rivals: len(args) == 1,
		})
		if err != nil {
			return err
		}
		if err := output.report(cmd.OutOrStdout(), diff); err != nil {
			return err
		}
		if diff.Undecided && !diff.Regression {
			return errors.New("too few rounds to judge: take at least 5 of each")
		}
		return measured(verdict{fine: !diff.Regression, short: diff.ToolShort()}, *strict)
	}
	return cmd
}

// diffSide is where the rounds of A or of B are.
type diffSide struct{ file, target string }

// diffSides returns the two sides that arguments and targets name: two files, or two targets of one file.
func diffSides(files, targets []string) (sides [2]diffSide, err error) {
	switch {
	case len(targets) > 2:
		return sides, errors.New("give --target at most twice, for A and for B")
	case len(files) == 1 && (len(targets) != 2 || targets[0] == targets[1]):
		return sides, errors.New("give two files, or one file of bench compare with --target twice, for A and for B")
	}
	for i := range sides {
		sides[i].file = files[min(i, len(files)-1)]
		if len(targets) > 0 {
			sides[i].target = targets[min(i, len(targets)-1)]
		}
	}
	return sides, nil
}
