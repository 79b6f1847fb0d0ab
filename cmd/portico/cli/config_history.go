package cli

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newConfigHistory() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List the configurations that were applied, with who, when and what became of them",
		Long: `History lists the last twenty configurations, the latest first. Of more than
twenty, it forgets those first that were refused. In force is the one that runs.`,
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var all []admin.ConfigRecord
		if err := api.get(cmd.Context(), admin.PathConfigHistory, &all); err != nil {
			return err
		}
		return api.print(cmd, all, recordTable(all...))
	}
	return cmd
}

// recordTable shows configurations that were applied.
func recordTable(all ...admin.ConfigRecord) *table.Table {
	rows := table.New("Configuration", "Time", "Who", "From", "Result", "In force", "Reason").Keep("Result")
	for _, r := range all {
		rows.Add(strconv.Itoa(r.Number), table.Time(r.Time), r.Who, r.From, r.Result, yesNo(r.InForce), r.Reason)
	}
	return rows
}

func newConfigShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [N]",
		Short: "Print the running configuration, or an earlier one",
		Long: `Show prints a whole configuration as it was applied, without the files that it
names. N is its number in config history. Only root and Portico's own user may
see it, over admin.socket.`,
		Example: "  portico config show 7 > portico.yaml.new",
		Args:    cobra.MaximumNArgs(1),
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		number, err := configNumber(args)
		if err != nil {
			return err
		}
		if number == 0 {
			if number, err = api.running(cmd); err != nil {
				return err
			}
		}
		var shown admin.ConfigText
		if err := api.get(cmd.Context(), admin.PathOf(admin.PathConfigText, strconv.Itoa(number)), &shown); err != nil {
			return err
		}
		if api.form != table.JSON {
			_, err := fmt.Fprint(cmd.OutOrStdout(), shown.Text)
			return err
		}
		return api.print(cmd, shown, nil)
	}
	return cmd
}

// running returns the number of the configuration in force.
func (a *apiCommand) running(cmd *cobra.Command) (int, error) {
	var all []admin.ConfigRecord
	if err := a.get(cmd.Context(), admin.PathConfigHistory, &all); err != nil {
		return 0, err
	}
	if number := numberInForce(all); number != 0 {
		return number, nil
	}
	return 0, errors.New("the running configuration could not be kept: see Portico's log")
}

// configNumber reads the number of a configuration, 0 if there is none.
func configNumber(args []string) (int, error) {
	if len(args) == 0 {
		return 0, nil
	}
	number, err := strconv.Atoi(args[0])
	if err != nil || number < 1 {
		return 0, fmt.Errorf("%q is not a configuration: give its number in portico config history", args[0])
	}
	return number, nil
}
