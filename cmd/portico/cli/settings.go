package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"portico/configs"
	"portico/health/admin"
	"portico/health/admin/table"
)

func newSettings() *cobra.Command {
	return group(&cobra.Command{
		Use:   "settings",
		Short: "Show settings and change them at run time",
		Long: `A change applies to new connections at once, and time-outs to open sessions
too. It survives a restart, and overrides the configuration file until it is
reset. Names and values may also be written as in Exchange:
MaxConnectionsPerUser, SecureLogin.`,
	}, newSettingsGet(), newSettingsSet(), newSettingsReset())
}

func newSettingsGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get [NAME...]",
		Short: "Show settings, where they come from, and the file's value if it differs",
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		var wanted []string
		for _, spelling := range names {
			name, err := configs.Settings{}.Name(spelling)
			if err != nil {
				return err
			}
			wanted = append(wanted, name)
		}
		var states []admin.SettingState
		if err := api.get(cmd.Context(), admin.PathSettings, &states); err != nil {
			return err
		}
		if len(wanted) > 0 {
			states = slices.DeleteFunc(states,
				func(s admin.SettingState) bool { return !slices.Contains(wanted, s.Name) })
		}
		return api.printSettings(cmd, states)
	}
	return cmd
}

func newSettingsSet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set NAME=VALUE...",
		Short: "Change settings; if one value is not allowed, none changes",
		Long: `Set changes the settings at once, and then prints the old and the new values. If
two operators change a setting, the last change applies, and its old value is
that of the other operator. The console shows the values before it changes one,
and changes nothing if somebody else has changed a setting since then.`,
		Example: "  portico settings set max_connections_per_user=20\n" +
			"  portico settings set LoginType=SecureLogin AuthenticatedConnectionTimeout=45m",
		Args: cobra.MinimumNArgs(1),
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		change := admin.SettingsChange{Set: make(map[string]string)}
		for _, arg := range args {
			name, value, ok := strings.Cut(arg, "=")
			if _, twice := change.Set[name]; !ok || twice {
				return fmt.Errorf("%q is not a change: write NAME=VALUE, each name once", arg)
			}
			change.Set[name] = value
		}
		return api.changeSettings(cmd, change)
	}
	return cmd
}

func newSettingsReset() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reset NAME...|--all",
		Short: "Remove changes, so that the configuration file applies again",
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	all := cmd.Flags().Bool("all", false, "remove all changes")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *all == (len(args) > 0) {
			return errors.New("give the names of settings, or --all")
		}
		return api.changeSettings(cmd, admin.SettingsChange{ResetAll: *all, Reset: args})
	}
	return cmd
}

func (a *apiCommand) changeSettings(cmd *cobra.Command, change admin.SettingsChange) error {
	var states []admin.SettingState
	if err := a.post(cmd.Context(), admin.PathSettings, change, &states); err != nil {
		return err
	}
	rows, shown := table.New("Name", "Was", "Now").Wide("Source", "File"), []admin.SettingState{}
	for _, s := range states {
		asked := change.ResetAll && s.Was != "" || named(change, s.Name)
		if !asked {
			continue
		}
		shown = append(shown, s)
		rows.Add(s.Name, cmp.Or(s.Was, s.Value), s.Value, s.Source, s.File)
	}
	return a.print(cmd, shown, rows)
}

// named reports whether a change names a setting, in any spelling.
func named(change admin.SettingsChange, name string) bool {
	spellings := slices.Concat(change.Reset, slices.Collect(maps.Keys(change.Set)))
	return slices.ContainsFunc(spellings, func(spelling string) bool {
		known, err := configs.Settings{}.Name(spelling)
		return err == nil && known == name
	})
}

// printSettings prints settings.
func (a *apiCommand) printSettings(cmd *cobra.Command, states []admin.SettingState) error {
	rows := table.New("Name", "Value", "Source", "File")
	for _, s := range states {
		rows.Add(s.Name, s.Value, s.Source, s.File)
	}
	return a.print(cmd, states, rows)
}
