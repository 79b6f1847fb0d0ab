package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newDatabaseStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "List the copies of the databases and their state",
		Long: `Status lists every copy, as Exchange's Get-MailboxDatabaseCopyStatus does. The
active copy of a database is one of these:

  Mounted             its mailbox server answers
  Dismounting         its sessions are being moved
  Dismounted          its mailbox server does not answer
  FailedAndSuspended  its storage should have switched between the listed copies
                      and did not, or the active copy is not in the
                      configuration: no user is admitted until you move the
                      database

Any other copy is one of these:

  Healthy             its mailbox server answers
  ServiceDown         its mailbox server does not answer
  Unknown             its mailbox server could not be asked
  Failed              its mail could not be read, and no probe has read it since:
                      no database moves there

Reason says why no database moves to a copy: the copy is Failed, its server does
not answer or is blocked, or sign-ins of users or probes fail there.

Exit status: 0 every database has its active copy on a server that answers, 1
one does not, 2 Portico does not answer.`,
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	aboutServer(cmd)
	group := cmd.Flags().String("group-by", "", "count the copies by this `field` instead: status")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *group != "" && *group != "status" {
			return fmt.Errorf("--group-by takes only status, not %q", *group)
		}
		server, err := api.serverOrNode(cmd.Context())
		if err != nil {
			return err
		}
		var copies []admin.CopyStatus
		if err := api.get(cmd.Context(), admin.PathDatabases, &copies); err != nil {
			return err
		}
		if server != "" {
			copies = slices.DeleteFunc(copies, func(c admin.CopyStatus) bool { return c.Server != server })
		}
		return api.printCopies(cmd, copies, *group != "")
	}
	return cmd
}

// printCopies prints copies, or the number of copies of each status.
func (a *apiCommand) printCopies(cmd *cobra.Command, copies []admin.CopyStatus, counted bool) (err error) {
	if counted {
		counts := copiesByStatus(copies)
		err = a.print(cmd, counts, statusTable(counts))
	} else {
		err = a.print(cmd, copies, copiesTable(copies))
	}
	if err == nil && slices.ContainsFunc(copies, unserved) {
		return errBadNews
	}
	return err
}

// unserved reports whether a copy is active on a server that does not answer, or that could not be asked.
func unserved(c admin.CopyStatus) bool {
	return c.Status == "Dismounted" || c.Status == "FailedAndSuspended" || c.Active && c.Status == "Unknown"
}

func copiesTable(copies []admin.CopyStatus) *table.Table {
	rows := table.New("Database", "Server", "Status", "Blocked", "Reason").Keep("Status", "Reason")
	for _, c := range copies {
		rows.AddNamed(c.Database+"/"+c.Server, c.Database, c.Server, c.Status, yesNo(c.Blocked),
			cmp.Or(c.Failed, c.Error, c.Barred))
	}
	return rows
}

func copiesByStatus(copies []admin.CopyStatus) map[string]int {
	counts := make(map[string]int)
	for _, c := range copies {
		counts[c.Status]++
	}
	return counts
}

func statusTable(counts map[string]int) *table.Table {
	rows := table.New("Count", "Status")
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		rows.AddNamed(status, strconv.Itoa(counts[status]), status)
	}
	return rows
}

func newDatabaseMove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "move DATABASE SERVER",
		Short: "Activate a database on another mailbox server",
		Long: `Move holds the database's sign-ins, waits for those in progress, ends its
sessions, and then admits users on the other server. If the move fails, it is
rolled back; sessions that have ended stay ended. If the storage command
(databases.<name>.activate) fails, there is no rollback: no user is admitted
until you move the database again, to either server.

If the server does not answer or its copy is Failed, nothing changes. --force
moves the database anyway, as Exchange's Move-ActiveMailboxDatabase
-SkipHealthChecks does. It does not lift a block; portico server unblock does.

You may write DATABASE/SERVER instead, as portico database status -o name prints
it.

Exit status: 0 the database is active there, 2 it could not be moved.`,
		Args: copyArgs,
	}
	api := apiFlags(cmd)
	force := cmd.Flags().Bool("force", false,
		"move even if the server does not answer or its copy is Failed")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		database, server := copyIn(args)
		return api.change(cmd, admin.PathOf(admin.PathDatabaseMove, database),
			admin.DatabaseMove{Server: server, Force: *force})
	}
	return cmd
}

func newDatabaseRebalance() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rebalance",
		Short: "Move every database to its most preferred usable copy",
		Long: `Rebalance moves each database to the first of its copies that is not Failed and
whose server answers and is not blocked. A copy is Failed if its mail could not
be read, and no probe has read it since: portico database status lists it, and
portico database copy resume clears it. Rebalance lists the databases that it
could not move, with the reason.

Exit status: 0 done, 1 a database is not where it should be, 2 the command
failed.`,
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var moves []admin.Move
		if err := api.post(cmd.Context(), admin.PathRebalance, admin.None{}, &moves); err != nil {
			return err
		}
		return api.printMoves(cmd, moves)
	}
	return cmd
}

// copyArgs accepts DATABASE SERVER or DATABASE/SERVER.
func copyArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && strings.Count(args[0], "/") == 1 {
		return nil
	}
	return cobra.ExactArgs(2)(cmd, args)
}

// copyIn returns the copy that the arguments name.
func copyIn(args []string) (database, server string) {
	if len(args) == 1 {
		database, server, _ = strings.Cut(args[0], "/")
		return database, server
	}
	return args[0], args[1]
}

func newDatabaseCopy() *cobra.Command {
	return group(&cobra.Command{Use: "copy", Short: "Change the state of a copy of a database"},
		newDatabaseCopyResume())
}

func newDatabaseCopyResume() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume DATABASE SERVER",
		Short: "Clear the Failed state of a copy",
		Long: `A copy is Failed if its mail could not be read when its database was moved away,
or if its probe could not read it. Rebalance and failovers skip it until a probe
reads a mailbox on it, or until this command. The command moves nothing. It
stands for Exchange's Resume-MailboxDatabaseCopy. You may write DATABASE/SERVER
instead, as portico database status -o name prints it.`,
		Example: "  portico database copy resume db1 mbx1",
		Args:    copyArgs,
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var done admin.Resumed
		database, server := copyIn(args)
		path := admin.PathOf(admin.PathDatabaseResume, database)
		if err := api.post(cmd.Context(), path, admin.ResumeRequest{Server: server}, &done); err != nil {
			return err
		}
		was := "not Failed"
		if done.WasFailed {
			was = "Failed"
		}
		return api.printChanged(cmd, admin.Change{What: "copy " + database + "/" + server, Was: was, Now: "not Failed"})
	}
	return cmd
}
