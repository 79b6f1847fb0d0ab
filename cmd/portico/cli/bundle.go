package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newHealthBundle() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Write a support bundle: all that this node knows about its health",
		Long: `Bundle writes a file with monitors, probe results, the recovery log, components,
overrides, database copies and the end of the protocol log. It writes the file
on the machine that Portico runs on, and prints its path. The file holds no
secrets. The protocol log in it may hold user names. Portico also writes such a
file for each alert, and keeps the latest twenty.`,
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var made admin.Bundled
		if err := api.post(cmd.Context(), admin.PathBundle, admin.None{}, &made); err != nil {
			return err
		}
		if api.form == table.Plain { // the path alone, for scripts
			fmt.Fprintln(cmd.OutOrStdout(), visibleText(made.Bundle))
			return nil
		}
		row := table.New("Bundle")
		row.Add(made.Bundle)
		return api.print(cmd, made, row)
	}
	return cmd
}
