package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"portico/health/admin"
)

func newServer() *cobra.Command {
	return group(&cobra.Command{Use: "server", Short: "Look at the mailbox servers, pause them, and keep databases from them"},
		newServerList(), newServerBlock(), newServerUnblock(), newServerPolicy(), newServerPause(), newServerResume())
}

func newServerList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the mailbox servers, and whether they answer",
		Long:  "List asks each mailbox server for its greeting, now. BreakerOpen says that sign-ins leave it alone, as it has failed too often.\nBlocked says who keeps databases from being activated there: operator, maintenance, or health after a failover.\n\nExit status: 0 all answer, 1 some do not, 2 portico can not be asked.",
		Args:  cobra.NoArgs,
	}
	ask := askFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var servers []admin.ServerState
		if err := ask.get(cmd.Context(), "/api/v1/servers", &servers); err != nil {
			return err
		}
		var rows [][]string
		down := false
		for _, s := range servers {
			state := "up"
			if !s.Up {
				state, down = "down", true
			}
			rows = append(rows, []string{s.Name, state, paused(s), yesNo(s.Breaker), s.Policy, blockedBy(s), strconv.Itoa(s.Active), s.Error})
		}
		err := ask.print(cmd.OutOrStdout(), servers, []string{"Name", "State", "Paused", "BreakerOpen", "Policy", "Blocked", "ActiveDatabases", "Error"}, rows)
		if err == nil && down {
			return errBadNews
		}
		return err
	}
	return cmd
}

// blockedBy says who blocks activation on a server.
func blockedBy(s admin.ServerState) string {
	if len(s.BlockedBy) == 0 {
		return yesNo(s.Blocked)
	}
	return "by " + strings.Join(s.BlockedBy, ", ")
}

func newServerBlock() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "block SERVER",
		Short: "Let no database be activated on a server; with --move, move those that are",
		Long: "Block forbids that a database is activated on the server, until unblock. With --move each database that is active there\n" +
			"moves now to its next copy that is not Failed and whose server answers and is not blocked: sign-ins wait, its sessions end, and\n" +
			"go on there. A copy is Failed if its mail could not be read, and was not read since: portico database status lists it, portico\n" +
			"database copy resume ends it. That is Exchange's Set-MailboxServer -DatabaseCopyActivationDisabledAndMoveNow $true.\n\n" +
			"Exit status: 0 done, 1 a database stays, 2 it could not be done.",
		Args: cobra.ExactArgs(1),
	}
	ask := askFlags(cmd)
	move := cmd.Flags().Bool("move", false, "move the databases that are active there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var moves []admin.Move
		path := "/api/v1/servers/" + url.PathEscape(args[0]) + "/block"
		if err := ask.post(cmd.Context(), path, map[string]bool{"move": *move}, &moves); err != nil {
			return err
		}
		return ask.moves(cmd.OutOrStdout(), moves)
	}
	return cmd
}

// moves prints what became of databases that were to move.
func (a *asking) moves(out io.Writer, moves []admin.Move) error {
	var rows [][]string
	stays := false
	for _, m := range moves {
		result := "moved to " + m.To
		if m.To == "" {
			result, stays = "kept: "+m.Reason, true
		}
		rows = append(rows, []string{m.Database, m.From, result})
	}
	err := a.print(out, moves, []string{"Database", "From", "Result"}, rows)
	if err == nil && stays {
		return errBadNews
	}
	return err
}

func newServerUnblock() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unblock SERVER",
		Short: "Lift a block; nothing moves back by that",
		Args:  cobra.ExactArgs(1),
	}
	ask := askFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var nothing struct{}
		if err := ask.post(cmd.Context(), "/api/v1/servers/"+url.PathEscape(args[0])+"/unblock", nothing, &nothing); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "Unblocked. No database moves back by itself: portico database rebalance.")
		return nil
	}
	return cmd
}
