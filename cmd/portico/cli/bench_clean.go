package cli

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"portico/bench"
	"portico/health/admin/table"
)

func newBenchClean() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clean --target HOST:PORT --users PATTERN --password-file FILE",
		Short: "Remove mailboxes that runs have left behind",
		Long: "Clean signs each user in and removes the mailboxes that earlier runs made and could not remove: " +
			"after a kill, or when the\n" +
			"server did not answer at the end. Names are those that bench run makes up, so no other mailbox is " +
			"touched. Do not\n" +
			"use it while a run is under way.\n\n" +
			"Exit status: 0 none is left, 1 some are, 2 it could not be done.",
		Args: cobra.NoArgs,
	}
	plan := &bench.Plan{}
	connectionFlags(cmd, plan)
	cmd.Flags().StringVar(&plan.Profile, "profile", "noop",
		"profile whose `mailbox` the names begin with; bench- by default")
	list := cmd.Flags().Bool("dry-run", false, "list them, and remove nothing")
	output := outputFlags(cmd)
	remote := allowRemoteFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		o, err := plan.Options(ctx, net.DefaultResolver, *remote)
		if err != nil {
			return err
		}
		left, failed := bench.Clean(ctx, o, *list)
		rows, remain := table.New("User", "Mailbox", "State"), false
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
		if err := output.print(cmd, left, rows); err != nil {
			return err
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
