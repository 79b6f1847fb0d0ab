package main

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"portico/health/admin"
)

func newDatabaseStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "List the copies of the databases: which is active, which could be",
		Long: "Status lists every copy, as Exchange's Get-MailboxDatabaseCopyStatus does: Mounted is the active one, Dismounting one whose\n" +
			"sessions are just being moved, Dismounted one whose mailbox server does not answer; of the others Healthy is one whose\n" +
			"mailbox server answers, ServiceDown one whose server does not. FailedAndSuspended are the copies of a database between which\n" +
			"its storage was to switch and could not: nobody is let in until the database is moved again.\n\n" +
			"Exit status: 0 every database has its active copy on a server that answers, 1 one has not, 2 portico can not be asked.",
		Args: cobra.NoArgs,
	}
	ask := askFlags(cmd)
	group := cmd.Flags().String("group-by", "", "count the copies by this `field` instead: status")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *group != "" && *group != "status" {
			return fmt.Errorf("--group-by must be status, is %q", *group)
		}
		var copies []admin.CopyStatus
		if err := ask.get(cmd.Context(), "/api/v1/databases", &copies); err != nil {
			return err
		}
		heads, rows := []string{"Database", "Server", "Status", "Blocked"}, [][]string{}
		counts := make(map[string]int)
		for _, s := range copies {
			counts[s.Status]++
			rows = append(rows, []string{s.Database, s.Server, s.Status, yesNo(s.Blocked)})
		}
		var value any = copies
		if *group != "" {
			heads, rows, value = []string{"Count", "Status"}, nil, counts
			for _, status := range slices.Sorted(maps.Keys(counts)) {
				rows = append(rows, []string{strconv.Itoa(counts[status]), status})
			}
		}
		err := ask.print(cmd.OutOrStdout(), value, heads, rows)
		if err == nil && counts["Dismounted"]+counts["FailedAndSuspended"] > 0 {
			return errBadNews
		}
		return err
	}
	return cmd
}

func newDatabaseMove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "move DATABASE SERVER",
		Short: "Make a server's copy of a database the active one",
		Long: "Move holds the sign-ins of the database, waits for those under way, ends its sessions, and then lets everybody in on the other\n" +
			"server. If it fails, everything is as before, but for the sessions that have ended; unless the storage that had to be told\n" +
			"(databases.<name>.activate) has failed: then nobody is let in until the database is moved again, to whichever server.\n\n" +
			"If the server does not answer, nothing changes. --force moves the database all the same, as Exchange's Move-ActiveMailboxDatabase\n" +
			"-SkipHealthChecks does. It does not lift a block: portico server unblock does.",
		Args: cobra.ExactArgs(2),
	}
	ask := askFlags(cmd)
	force := cmd.Flags().Bool("force", false, "move to a server that does not answer, too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var nothing struct{}
		path := "/api/v1/databases/" + url.PathEscape(args[0]) + "/move"
		if err := ask.post(cmd.Context(), path, admin.DatabaseMove{Server: args[1], Force: *force}, &nothing); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is active on %s.\n", args[0], args[1])
		return nil
	}
	return cmd
}

func newDatabaseRebalance() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rebalance",
		Short: "Move every database to the first of its copies that can have it",
		Long: "Rebalance moves each database to the first of its copies whose server answers and is not blocked. A database whose active copy is on\n" +
			"a server that does not answer moves to any such copy. What stays is listed with the reason.\n\n" +
			"Exit status: 0 done, 1 a database stays where it should not, 2 it could not be done.",
		Args: cobra.NoArgs,
	}
	ask := askFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var moves []admin.Move
		if err := ask.post(cmd.Context(), "/api/v1/rebalance", struct{}{}, &moves); err != nil {
			return err
		}
		return ask.moves(cmd.OutOrStdout(), moves)
	}
	return cmd
}
