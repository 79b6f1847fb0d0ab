package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"portico/bench"
)

func newBenchMerge() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "merge A.json B.json...",
		Short: "Merge the reports of several load machines",
		Long: `Merge adds up reports that bench run wrote with -o json on several machines, at
the same time and for the same kind of work. It adds histograms and rates and
aligns series by the machines' clocks. Conditions in the reports, and those of
--fail-if, apply to the merged result. With -o json the result is a report like
any other.

Exit status: 0 all operations completed correctly; 1 some did not, or a
condition failed; 2 the reports are of different kinds or times; 3 with
--strict: a machine was short of CPU, so the latencies are not the server's
alone.`,
		Args: cobra.MinimumNArgs(2),
	}
	failIf := cmd.Flags().StringArray("fail-if", nil,
		"`condition` that fails the merged result, see bench run; may be repeated")
	page := cmd.Flags().String("report", "", "also write the report as an HTML page to this `file`")
	output := outputFlags(cmd)
	strict := strictFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		conditions, err := bench.ParseConditions(*failIf)
		if err != nil {
			return err
		}
		file, err := openResult("report", *page)
		if err != nil {
			return err
		}
		defer file.drop()
		reports, err := reportsOfMachines(args)
		if err != nil {
			return err
		}
		whole, err := bench.Merge(reports, conditions)
		if err != nil {
			return err
		}
		err = errors.Join(output.report(cmd.OutOrStdout(), whole), file.write(whole.WriteHTML))
		if err != nil {
			return err
		}
		return measured(verdict{whole.Fine(), whole.Tool.Short(), whole.EndedEarly}, *strict)
	}
	return cmd
}

// reportsOfMachines reads one report from each file.
func reportsOfMachines(files []string) ([]*bench.Report, error) {
	var reports []*bench.Report
	for _, file := range files {
		of, err := bench.LoadReports(file, "")
		if err != nil {
			return nil, err
		}
		if len(of) > 1 {
			return nil, fmt.Errorf("%s holds %d reports: merge takes one report of each machine", file, len(of))
		}
		reports = append(reports, of...)
	}
	return reports, nil
}
