package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newMaintenance() *cobra.Command {
	return group(&cobra.Command{
		Use:   "maintenance",
		Short: "Put a mailbox server, or this node, into maintenance and back",
		Long: `A mailbox server in maintenance has no active database, receives none, and
causes no alerts. A node in maintenance refuses clients, has ended its sessions,
takes no recovery actions, and sends no alerts.

Use maintenance to take a server or this node out of service for planned work.
Use component to switch off one part of this node, and service restart if this
node's front end hangs.`,
	}, newMaintenanceStart(), newMaintenanceStop(), newMaintenanceStatus())
}

func newMaintenanceStart() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start [SERVER]",
		Short: "Start maintenance of a mailbox server, or drain this node",
		Long: `With a server, start moves each database that is active there to its next copy
that answers. It blocks activation there, sets the server's AutoActivationPolicy
to Blocked, and disables its monitors.

Without a server, start drains the node that you ask: this one, or the one of
--node. It sets ImapProxy to Inactive as requester Maintenance, ends sessions
within --drain, and then sets ServerWideOffline to Inactive as requester
Maintenance. It asks before it drains a node; --yes skips the question.

Exit status: 0 done, 1 a database stays, 2 the command failed.`,
		Example: "  portico maintenance start mbx1\n  portico maintenance start --node mx2 --yes",
		Args:    cobra.MaximumNArgs(1),
	}
	api := apiFlags(cmd)
	drain := timeFlag(cmd, "drain", 30*time.Second, "`time` over which a node's sessions end")
	yes := yesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 && !*yes {
			if err := api.confirmDrain(cmd); err != nil {
				return err
			}
		}
		return api.maintenance(cmd, admin.PathMaintenanceStart, admin.PathServerMaintenanceStart, args,
			admin.MaintenanceRequest{Seconds: drain.Seconds()})
	}
	return cmd
}

func newMaintenanceStop() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stop [SERVER]",
		Short: "End maintenance; no database moves back",
		Long: `Stop reverses what start did. No database moves back by itself: portico database
rebalance does that.

Exit status: 0 done, 1 another requester still keeps it out of service, 2 the
command failed.`,
		Args: cobra.MaximumNArgs(1),
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return api.maintenance(cmd, admin.PathMaintenanceStop, admin.PathServerMaintenanceStop, args, admin.None{})
	}
	return cmd
}

// confirmDrain asks for confirmation to drain a whole node.
func (a *apiCommand) confirmDrain(cmd *cobra.Command) error {
	var names admin.Names
	var sessions []admin.SessionState
	if err := a.get(cmd.Context(), admin.PathNames, &names); err != nil {
		return err
	}
	if err := a.get(cmd.Context(), admin.PathSessions, &sessions); err != nil {
		return err
	}
	return confirm(cmd,
		fmt.Sprintf("No mailbox server is named. This drains the node %s: it ends its sessions (%d now) and refuses "+
			"new clients.", names.Node, len(sessions)))
}

// maintenance sends a change to path, or, for a mailbox server, to the path from the pattern ofServer.
func (a *apiCommand) maintenance(cmd *cobra.Command, path, ofServer string, args []string, body any) error {
	if len(args) == 1 {
		path = admin.PathOf(ofServer, args[0])
	}
	var steps []admin.MaintenanceStep
	if err := a.post(cmd.Context(), path, body, &steps); err != nil {
		return err
	}
	if len(steps) == 0 {
		a.note("%s is not in maintenance: nothing has changed", cmp.Or(strings.Join(args, ""), "the node"))
	}
	rows, fine := table.New("What", "Was", "Result").Keep("Result"), true
	for _, s := range steps {
		rows.Add(s.What, s.Was, s.Result)
		fine = fine && s.Done
	}
	if err := a.print(cmd, steps, rows); err != nil {
		return err
	}
	if !fine {
		return errBadNews
	}
	return nil
}

func newMaintenanceStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "List what is in maintenance, and what is still active there",
		Args:  cobra.NoArgs,
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var all []admin.MaintenanceRow
		if err := api.get(cmd.Context(), admin.PathMaintenance, &all); err != nil {
			return err
		}
		rows := table.New("InMaintenance", "Since", "StillThere")
		for _, m := range all {
			name, left := m.Server, "no active database"
			switch {
			case m.Node != "":
				name, left = "this node, "+m.Node, table.Counted(m.Sessions, "session")
				if m.Sessions > 0 {
					left += "; clients on this machine are admitted again"
				}
			case len(m.Active) > 0:
				left = fmt.Sprintf("active: %v", m.Active)
			}
			rows.AddNamed(cmp.Or(m.Server, m.Node), name, table.Time(m.Since), left)
		}
		return api.print(cmd, all, rows)
	}
	return cmd
}
