package cli

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
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
		Short: "List the copies of the databases: which is active, which could be",
		Long: "Status lists every copy, as Exchange's Get-MailboxDatabaseCopyStatus does: Mounted is the active " +
			"one, Dismounting one whose\n" +
			"sessions are just being moved, Dismounted one whose mailbox server does not answer; of the others " +
			"Healthy is one whose\n" +
			"mailbox server answers, ServiceDown one whose server does not, Unknown one whose server could not be " +
			"asked, Failed one whose mail could not be read, and was not read since: nothing\n" +
			"moves there. Reason says why nothing moves to a copy: it is Failed, its server does not answer, is " +
			"blocked, or fails for users or probes. FailedAndSuspended are the copies of a database between which\n" +
			"its storage was to switch and could not, or whose active copy is not in the configuration: nobody is " +
			"let in until the database\n" +
			"is moved.\n\n" +
			"Exit status: 0 every database has its active copy on a server that answers, 1 one has not, 2 portico " +
			"can not be asked.",
		Args: cobra.NoArgs,
	}
	ask := askFlags(cmd).aliasFlag(cmd)
	aboutServer(cmd)
	group := cmd.Flags().String("group-by", "", "count the copies by this `field` instead: status")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *group != "" && *group != "status" {
			return fmt.Errorf("--group-by must be status, is %q", *group)
		}
		server, err := ask.serverOrNode(cmd.Context())
		if err != nil {
			return err
		}
		var copies []admin.CopyStatus
		if err := ask.get(cmd.Context(), "/api/v1/databases", &copies); err != nil {
			return err
		}
		if server != "" {
			copies = slices.DeleteFunc(copies, func(c admin.CopyStatus) bool { return c.Server != server })
		}
		rows := table.New("Database", "Server", "Status", "Blocked", "Reason").Keep("Status", "Reason")
		counts, unsure := make(map[string]int), false
		for _, s := range copies {
			counts[s.Status]++
			unsure = unsure || s.Active && s.Status == "Unknown"
			rows.AddNamed(s.Database+"/"+s.Server, s.Database, s.Server, s.Status, yesNo(s.Blocked),
				cmp.Or(s.Failed, s.Error, s.Barred))
		}
		var value any = copies
		if *group != "" {
			rows, value = table.New("Count", "Status"), counts
			for _, status := range slices.Sorted(maps.Keys(counts)) {
				rows.AddNamed(status, strconv.Itoa(counts[status]), status)
			}
		}
		err = ask.print(cmd, value, rows)
		if err == nil && (unsure || counts["Dismounted"]+counts["FailedAndSuspended"] > 0) {
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
		Long: "Move holds the sign-ins of the database, waits for those under way, ends its sessions, and then lets " +
			"everybody in on the other\n" +
			"server. If it fails, everything is as before, but for the sessions that have ended; unless the storage " +
			"that had to be told\n" +
			"(databases.<name>.activate) has failed: then nobody is let in until the database is moved again, to " +
			"whichever server.\n\n" +
			"If the server does not answer, or its copy is Failed, nothing changes. --force moves the database all " +
			"the same, as Exchange's Move-ActiveMailboxDatabase\n" +
			"-SkipHealthChecks does. It does not lift a block: portico server unblock does.\n\n" +
			"DATABASE/SERVER names the same, as portico database status -o name prints it.\n\n" +
			"Exit status: 0 the database is active there, 2 it could not be moved.",
		Args: copyArgs,
	}
	ask := askFlags(cmd)
	force := cmd.Flags().Bool("force", false,
		"move to a server that does not answer, or to a copy that is Failed, too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		database, server := copyIn(args)
		return ask.change(cmd, "/api/v1/databases/"+url.PathEscape(database)+"/move",
			admin.DatabaseMove{Server: server, Force: *force})
	}
	return cmd
}

func newDatabaseRebalance() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rebalance",
		Short: "Move every database to the first of its copies that can have it",
		Long: "Rebalance moves each database to the first of its copies that is not Failed and whose server answers " +
			"and is not\n" +
			"blocked. A database whose active copy is on a server that does not answer moves to any such copy. A " +
			"copy is Failed if its\n" +
			"mail could not be read, and was not read since: portico database status lists it, portico database " +
			"copy resume ends it.\n" +
			"What stays is listed with the reason.\n\n" +
			"Exit status: 0 done, 1 a database stays where it should not, 2 it could not be done.",
		Args: cobra.NoArgs,
	}
	ask := askFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var moves []admin.Move
		if err := ask.post(cmd.Context(), "/api/v1/rebalance", struct{}{}, &moves); err != nil {
			return err
		}
		return ask.moves(cmd, moves)
	}
	return cmd
}

// copyArgs takes DATABASE SERVER, or DATABASE/SERVER.
func copyArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && strings.Count(args[0], "/") == 1 {
		return nil
	}
	return cobra.ExactArgs(2)(cmd, args)
}

// copyIn returns the copy that arguments name.
func copyIn(args []string) (database, server string) {
	if len(args) == 1 {
		database, server, _ = strings.Cut(args[0], "/")
		return database, server
	}
	return args[0], args[1]
}

func newDatabaseCopy() *cobra.Command {
	return group(&cobra.Command{Use: "copy", Short: "Change what is known of a copy of a database"},
		newDatabaseCopyResume())
}

func newDatabaseCopyResume() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume DATABASE SERVER",
		Short: "Say that a copy that is Failed is well again",
		Long: "A copy is Failed when its mail could not be read as its database was moved away, or when its probe " +
			"could not read it. Rebalance and failovers\n" +
			"leave it alone until a probe has read a mailbox on it, or until this command. It moves nothing.\n" +
			"DATABASE/SERVER names the same, as portico database status -o name prints it. That is Exchange's " +
			"Resume-MailboxDatabaseCopy.",
		Example: "  portico database copy resume db1 mbx1",
		Args:    copyArgs,
	}
	ask := askFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var done struct {
			Was bool `json:"was_failed"`
		}
		database, server := copyIn(args)
		path := "/api/v1/databases/" + url.PathEscape(database) + "/resume"
		if err := ask.post(cmd.Context(), path, map[string]string{"server": server}, &done); err != nil {
			return err
		}
		was := "not Failed"
		if done.Was {
			was = "Failed"
		}
		return ask.changed(cmd, admin.Change{What: "copy " + database + "/" + server, Was: was, Now: "not Failed"})
	}
	return cmd
}
