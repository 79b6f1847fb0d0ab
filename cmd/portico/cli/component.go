package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/health/components"
)

func newComponent() *cobra.Command {
	return group(&cobra.Command{
		Use:   "component",
		Short: "Switch parts of this node off and on: Get- and Set-ServerComponentState",
		Long: `Each component of the node is Active or Inactive:

  ImapProxy               Inactive: refuse new clients; open sessions continue
  Monitoring              Inactive: send no alerts
  RecoveryActionsEnabled  Inactive: take no recovery action; with --server, on
                          one mailbox server
  ServerWideOffline       Inactive: all of the above

Each requester has its own entry. A component is Inactive while any entry is
Inactive. Only the same requester can change an entry.

For planned work on the whole node use portico maintenance start, which also ends
the sessions.`,
	}, newComponentGet(), newComponentSet())
}

func newComponentGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get [COMPONENT]",
		Short: "List the components and each requester's entry",
		Long: `Exit status: 0 all listed components are Active, 1 one is not, 2 Portico does
not answer.`,
		Args: cobra.MaximumNArgs(1),
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var all []components.State
		if err := api.get(cmd.Context(), admin.PathComponents, &all); err != nil {
			return err
		}
		wanted, rows, fine := []components.State{}, table.New("Component", "State", "Requests"), true
		for _, c := range all {
			if len(args) == 1 && !fitsAny(args[0], c.Component) {
				continue
			}
			wanted = append(wanted, c)
			fine = fine && c.State == components.Active
			var who []string
			for _, r := range c.Requests {
				who = append(who, admin.RequestText(c.Component, r))
			}
			rows.Add(admin.ComponentName(c.Component, c.Server), c.State, strings.Join(who, "; "))
		}
		if len(wanted) == 0 {
			return admin.NoSuch("component", args[0], componentNames(all))
		}
		if err := api.print(cmd, wanted, rows); err != nil {
			return err
		}
		if !fine {
			return errBadNews
		}
		return nil
	}
	return cmd
}

// componentNames lists the names of components, without duplicates.
func componentNames(all []components.State) (names []string) {
	for _, c := range all {
		names = append(names, c.Component)
	}
	return slices.Compact(names)
}

func newComponentSet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set COMPONENT",
		Short: "Set a requester's entry for a component",
		Long: `Set changes the requester's entry at once. With --duration the entry ends after
that time. An entry survives a restart. RecoveryActionsEnabled Inactive with
--server stops recovery actions for one mailbox server: alerts for it go out at
once, and recovery of other servers continues.

Exit status: 0 the component has that state, 1 another requester keeps it
Inactive, 2 the command failed.`,
		Example: "  portico component set ImapProxy --state Inactive --requester Maintenance\n" +
			"  portico component set RecoveryActionsEnabled --server mbx1 --state Inactive --requester Maintenance " +
			"--duration 2h",
		Args: cobra.ExactArgs(1),
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	r, duration := componentSetFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		r.Component = args[0]
		if r.Until, err = untilAfter(cmd, *duration); err != nil {
			return err
		}
		if !r.Until.IsZero() && strings.EqualFold(r.State, components.Active) {
			return errors.New("--duration needs --state Inactive: an Active entry has no effect, so its end would " +
				"change nothing")
		}
		named := api.server
		if r.Server, err = api.serverOrNode(cmd.Context()); err != nil {
			return err
		}
		if named != "" && r.Server == "" && strings.EqualFold(r.Component, components.RecoveryActions) {
			return fmt.Errorf("%s is another Portico, and this would change all mailbox servers there: write --node "+
				"%s to do that", named, named)
		}
		var change admin.Change
		if err := api.post(cmd.Context(), admin.PathComponents, r, &change); err != nil {
			return err
		}
		if err := api.printChanged(cmd, change); err != nil {
			return err
		}
		// "Inactive" does not begin with "Active"
		if !strings.HasPrefix(strings.ToLower(change.Now), strings.ToLower(r.State)) {
			return errBadNews
		}
		return nil
	}
	return cmd
}

// componentSetFlags gives a command the flags of an entry and of its duration.
func componentSetFlags(cmd *cobra.Command) (*components.Request, *time.Duration) {
	r := &components.Request{}
	cmd.Flags().StringVar(&r.State, "state", "", "`Active or Inactive`")
	cmd.Flags().StringVar(&r.Requester, "requester", "",
		"`HealthAPI, Maintenance, Sidelined, Functional or Deployment`")
	cmd.MarkFlagRequired("state")
	cmd.MarkFlagRequired("requester")
	cmd.Flags().Lookup("server").
		Usage = "the mailbox `server`, for RecoveryActionsEnabled; or another Portico, as --node"
	return r, timeFlag(cmd, "duration", 0,
		"`time` after which the entry ends, such as 2h or 1.00:00:00; by default it does not end")
}
