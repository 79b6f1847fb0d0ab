package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"portico/bench"
)

func newBenchMerge() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "merge A.json B.json...",
		Short: "Put the reports of several load machines together",
		Long: "Merge adds reports that bench run has written with -o json on several machines, at the same time and " +
			"of the same\n" +
			"kind of work: histograms and rates are added, and series are aligned by the machines' clocks. " +
			"Conditions of the\n" +
			"reports, and those of --fail-if, are judged on the whole. With -o json the result is a report like any " +
			"other.\n\n" +
			"Exit status: 0 everything that was due was done, and rightly; 1 it was not, or a condition failed; 2 " +
			"the reports\n" +
			"are of different kinds or times; 3 with --strict: a machine was short of CPU, so that latencies " +
			"are its own.",
		Args: cobra.MinimumNArgs(2),
	}
	failIf := cmd.Flags().StringArray("fail-if", nil,
		"`condition` that fails the whole, see bench run; may be repeated")
	page := cmd.Flags().String("report", "", "also write the report as a page, to this HTML `file`")
	output := outputFlags(cmd)
	strict := strictFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		conditions, err := bench.ParseConditions(*failIf)
		if err != nil {
			return err
		}
		var reports []*bench.Report
		for _, file := range args {
			of, err := bench.LoadReports(file, "")
			if err != nil {
				return err
			}
			if len(of) > 1 {
				return fmt.Errorf("%s holds %d reports: merge takes one of each machine", file, len(of))
			}
			reports = append(reports, of...)
		}
		whole, err := bench.Merge(reports, conditions)
		if err != nil {
			return err
		}
		if *page != "" {
			if err := writeFile(*page, whole.WriteHTML); err != nil {
				return fmt.Errorf("report: %w", err)
			}
		}
		if err := output.report(cmd.OutOrStdout(), whole); err != nil {
			return err
		}
		return measured(whole.Fine(), whole.Tool.Short(), *strict)
	}
	return cmd
}
