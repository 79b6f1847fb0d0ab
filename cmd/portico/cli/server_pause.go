package cli

import (
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"portico/backend"
	"portico/health/admin"
)

func newServerPause() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pause SERVER --for TIME",
		Short: "Hold the sign-ins to a mailbox server for a while, as for its restart",
		Long: "Pause holds new sign-ins whose mailbox is on the server: their clients are told every 15 seconds " +
			"that they wait, and see no error. They\n" +
			"are let in, in their order and at the set pace, when the time is over or at resume. Sessions that " +
			"there are go on. If a\n" +
			"database moves to another server meanwhile, its sign-ins go there. A pause does not outlive Portico.",
		Example: "  portico server pause mbx1 --for 60s",
		Args:    cobra.ExactArgs(1),
	}
	ask := askFlags(cmd)
	length := timeFlag(cmd, "for", 0, "how long, at most "+backend.MaxPause.String())
	cmd.MarkFlagRequired("for")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *length <= 0 || *length > backend.MaxPause {
			return fmt.Errorf("--for must be a time up to %v, is %v", backend.MaxPause, *length)
		}
		if err := ask.pause(cmd, args[0], *length); err != nil {
			return err
		}
		if ask.forPeople() {
			fmt.Fprintf(cmd.OutOrStdout(), "\nIt ends by itself, or by: portico server resume %s\n", args[0])
		}
		return nil
	}
	return cmd
}

func newServerResume() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume SERVER",
		Short: "End a pause",
		Args:  cobra.ExactArgs(1),
	}
	ask := askFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return ask.pause(cmd, args[0], 0)
	}
	return cmd
}

func (a *asking) pause(cmd *cobra.Command, server string, d time.Duration) error {
	return a.change(cmd, "/api/v1/servers/"+url.PathEscape(server)+"/pause",
		map[string]float64{"seconds": d.Seconds()})
}

// paused says how long a server still is, and who waits for it.
func paused(s admin.ServerState) string {
	if s.Paused == 0 && s.Waiting == 0 {
		return "no"
	}
	return fmt.Sprintf("%v, %d wait", inSeconds(s.Paused).Round(time.Second), s.Waiting)
}

func newServerPolicy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy SERVER Unrestricted|Blocked|reset",
		Short: "Set whether databases are activated on a server automatically",
		Long: "With Blocked no block --move, no rebalance and no failover activates a database there; portico " +
			"database move does it all the same,\n" +
			"unlike with block. The change survives a restart and beats the configuration, until reset.\n" +
			"That is Exchange's Set-MailboxServer -DatabaseCopyAutoActivationPolicy.",
		Args: cobra.ExactArgs(2),
	}
	ask := askFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		policy := args[1]
		if policy == "reset" {
			policy = ""
		}
		return ask.change(cmd, "/api/v1/servers/"+url.PathEscape(args[0])+"/policy",
			map[string]string{"policy": policy})
	}
	return cmd
}
