package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newServer() *cobra.Command {
	return group(&cobra.Command{Use: "server",
		Short: "List mailbox servers, pause them, and block activation there"},
		newServerList(), newServerBlock(), newServerUnblock(), newServerPolicy(), newServerPause(), newServerResume())
}

func newServerList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the mailbox servers and whether they answer",
		Long: `List asks all mailbox servers for their greeting, all at the same time. Each has
3 seconds, so the command takes no longer. State is up, down, or unknown.
Unknown means that Portico could not ask, for example because it has no file
descriptors left. Paused is how long sign-ins are still held (server pause).
BreakerOpen means that the circuit breaker is open: the server has failed too
often, and sign-ins avoid it. Policy is the automatic activation policy (server
policy).

Blocked says who forbids activation there: operator or maintenance, with the
user or token that requested it, or health after a failover. BlockedFor, in
-o wide and -o list, names the monitor for which health blocks the server, and
says what has to happen before health unblocks it.

Exit status: 0 all answer, 1 some do not or could not be asked, 2 Portico does
not answer.`,
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var servers []admin.ServerState
		if err := api.get(cmd.Context(), admin.PathServers, &servers); err != nil {
			return err
		}
		rows := table.New("Name", "State", "Paused", "BreakerOpen", "Policy", "Blocked", "ActiveDatabases", "Error").
			Wide("BlockedFor").Keep("State", "Blocked", "Error").Yield("Policy")
		down := false
		for _, s := range servers {
			down = down || !s.Up
			rows.Add(s.Name, s.State, paused(s), yesNo(s.Breaker), s.Policy, blockedBy(s),
				strconv.Itoa(s.Active), s.Error, blockedFor(s))
		}
		err := api.print(cmd, servers, rows)
		if err == nil && down {
			return errBadNews
		}
		return err
	}
	return cmd
}

// blockedBy says who blocks activation on a server.
func blockedBy(s admin.ServerState) string {
	if len(s.Blockers) == 0 {
		return yesNo(s.Blocked)
	}
	var all []string
	for _, b := range s.Blockers {
		all = append(all, admin.Asker(b.By, b.Who))
	}
	return "by " + strings.Join(all, ", ")
}

// blockedFor names the monitors for which health blocks activation on a server, and says what they wait for.
func blockedFor(s admin.ServerState) string {
	var all []string
	for _, b := range s.Blockers {
		if b.Monitor != "" {
			all = append(all, b.Monitor+": "+b.Why)
		}
	}
	return strings.Join(all, ", ")
}

func newServerBlock() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "block SERVER",
		Short: "Forbid activation on a server; with --move, move its active databases",
		Long: `Block forbids activation of databases on the server, until unblock. With --move,
each database that is active there moves now to its next copy that is not Failed
and whose server answers and is not blocked. Sign-ins of the database wait, its
sessions end, and users continue on the other server. A copy is Failed if its
mail could not be read, and no probe has read it since: portico database status
lists it, and portico database copy resume clears it. Block --move stands for
Exchange's Set-MailboxServer -DatabaseCopyActivationDisabledAndMoveNow $true.

Exit status: 0 done, 1 a database stays, 2 the command failed.`,
		Args: cobra.ExactArgs(1),
	}
	api := apiFlags(cmd)
	move := cmd.Flags().Bool("move", false, "move the databases that are active there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var moves []admin.Move
		path := admin.PathOf(admin.PathServerBlock, args[0])
		was, err := api.activation(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if err := api.post(cmd.Context(), path, admin.BlockRequest{Move: *move}, &moves); err != nil {
			return err
		}
		return api.printMoves(cmd, moves, admin.Change{What: "activation on " + args[0], Was: was, Now: "blocked"})
	}
	return cmd
}

// activation returns whether databases may be activated on a mailbox server.
func (a *apiCommand) activation(ctx context.Context, server string) (string, error) {
	var names admin.Names
	err := a.get(ctx, admin.PathNames, &names)
	if slices.Contains(names.Blocked, server) {
		return "blocked", err
	}
	return "allowed", err
}

// shownMove is a change as a command that moves databases prints it, with the move if it is about a database.
type shownMove struct {
	admin.Change
	Result string `json:"result"`
	*admin.Move
}

// printMoves prints the results of moves after the other changes.
func (a *apiCommand) printMoves(cmd *cobra.Command, moves []admin.Move, changes ...admin.Change) error {
	rows, shown, stays := table.New("What", "Was", "Now", "Result").Keep("Result"), []shownMove{}, false
	for _, c := range changes {
		rows.Add(c.What, c.Was, c.Now, "done")
		shown = append(shown, shownMove{Change: c, Result: "done"})
	}
	for i, m := range moves {
		c, result := admin.Change{What: "database " + m.Database, Was: m.From, Now: m.To}, "moved to "+m.To
		if m.To == "" {
			c.Now, result, stays = m.From, "kept: "+m.Reason, true
		}
		rows.AddNamed(m.Database, c.What, c.Was, c.Now, result)
		shown = append(shown, shownMove{c, result, &moves[i]})
	}
	err := a.print(cmd, shown, rows)
	if err == nil && stays {
		return errBadNews
	}
	return err
}

func newServerUnblock() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unblock SERVER",
		Short: "Lift a block; no database moves back",
		Args:  cobra.ExactArgs(1),
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := api.change(cmd, admin.PathOf(admin.PathServerUnblock, args[0]), admin.None{}); err != nil {
			return err
		}
		if api.forPeople() {
			fmt.Fprintln(cmd.OutOrStdout(),
				"\nNo database moves back by itself: portico database rebalance does that.")
		}
		return nil
	}
	return cmd
}
