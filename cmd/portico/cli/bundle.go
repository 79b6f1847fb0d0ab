package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"portico/health/admin/table"
)

func newHealthBundle() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Write down all that is known, for whoever is asked for help",
		Long: "Bundle writes a file with monitors, results of probes, the recovery log, components, overrides, " +
			"copies of databases and the end of the\n" +
			"protocol log, on the machine that Portico runs on, and prints its path. No secret is in it; names of " +
			"users may be, in the protocol log.\n" +
			"Each alert has such a file too; the latest twenty are kept.",
		Args: cobra.NoArgs,
	}
	ask := askFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var made map[string]string
		if err := ask.post(cmd.Context(), "/api/v1/bundle", struct{}{}, &made); err != nil {
			return err
		}
		if ask.form == table.Plain { // the path alone, for scripts
			fmt.Fprintln(cmd.OutOrStdout(), visibleText(made["bundle"]))
			return nil
		}
		row := table.New("Bundle")
		row.Add(made["bundle"])
		return ask.print(cmd, made, row)
	}
	return cmd
}
