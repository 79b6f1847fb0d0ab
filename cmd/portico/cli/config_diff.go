package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newConfigDiff() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff [FILE]",
		Short: "Compare the file with the running configuration, and with what a start takes",
		Long: `Diff lists the keys that have different values in the file that Portico was
started with, in the running configuration, and in what a start would take.
Settings that were changed at run time override the file: there the running
value differs from the file's. With FILE, diff compares another file with the
running configuration, as config apply --dry-run does.

Diff compares keys and values, not the files that they name. User parts of URLs
are not shown.

Exit status: 0 nothing differs, 1 something does, 2 it is not known.`,
		Args: cobra.MaximumNArgs(1),
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			plan, err := api.plan(cmd, args)
			if err == nil {
				err = api.printPlan(cmd, plan)
			}
			if err == nil && len(plan.Changes) > 0 {
				err = errBadNews
			}
			return err
		}
		var diff admin.ConfigDiff
		if err := api.get(cmd.Context(), admin.PathConfigDiff, &diff); err != nil {
			return err
		}
		if len(diff.Keys) == 0 && api.forPeople() {
			_, err := fmt.Fprintln(cmd.OutOrStdout(),
				"Nothing differs: the file runs, and a start takes it.")
			return err
		}
		rows := table.New("Key", "Running", "File", "At start")
		for _, k := range diff.Keys {
			rows.Add(k.Key, k.Running, k.File, k.AtStart)
		}
		if err := api.print(cmd, diff, rows); err != nil || len(diff.Keys) == 0 {
			return err
		}
		return errBadNews
	}
	return cmd
}
