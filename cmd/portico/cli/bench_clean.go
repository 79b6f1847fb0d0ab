package cli

import (
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"portico/bench"
	"portico/health/admin/table"
)

func newBenchClean() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clean --target HOST:PORT --users PATTERN --password-file FILE",
		Short: "Remove mailboxes left behind by earlier runs",
		Long: `Clean signs in each user and removes the mailboxes that earlier runs created and
could not remove. Mailboxes stay behind when a run is killed or the server does
not answer at the end. Clean removes only mailboxes with a name that bench run
generates. Do not use it during a run.

Exit status: 0 no mailbox is left; 1 some are left; 2 the command failed; 130 a
signal ended it early.`,
		Args: cobra.NoArgs,
	}
	plan := &bench.Plan{}
	connectionFlags(cmd, plan)
	cmd.Flags().StringVar(&plan.Profile, "profile", "noop",
		"use the `mailbox` name of this profile as the prefix; the default prefix is bench-")
	list := cmd.Flags().Bool("dry-run", false, "list the mailboxes and remove nothing")
	output := outputFlags(cmd)
	remote := allowRemoteFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(plan.Target) > 1 || len(plan.Source) > 1 {
			return errors.New("clean takes one target and one source address: run it for each target")
		}
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		o, err := plan.Options(ctx, net.DefaultResolver, *remote)
		if err != nil {
			return err
		}
		left, failed := bench.Clean(ctx, o, *list)
		rows, remain := cleanRows(left)
		if err := output.print(cmd, left, rows); err != nil {
			return err
		}
		if ctx.Err() != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "portico: ended early: mailboxes of other users may be left")
			return errEnded
		}
		if failed != nil {
			return fmt.Errorf("clean: %w", failed)
		}
		if remain {
			return errBadNews
		}
		return nil
	}
	return cmd
}

// cleanRows lists what was found, and reports whether something remains.
func cleanRows(left []bench.LeftBehind) (rows *table.Table, remain bool) {
	rows = table.New("User", "Mailbox", "State")
	for _, l := range left {
		state := "removed"
		if !l.Removed {
			state, remain = "left behind", true
		}
		if l.Problem != "" {
			state = l.Problem
		}
		rows.Add(l.User, l.Mailbox, state)
	}
	return rows, remain
}
