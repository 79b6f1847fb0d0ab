package cli

import (
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"portico/backend"
	"portico/health/admin"
)

func newServerPause() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pause SERVER --for TIME",
		Short: "Hold the sign-ins to a mailbox server for a while, for example during a restart",
		Long: `Pause holds new sign-ins to mailboxes on the server. Every 15 seconds Portico
tells their clients that they wait; clients see no error. When the time is over,
or at resume, users are admitted in order of arrival and at a limited rate. Open
sessions continue. If a database moves to another server, its held sign-ins go
there. A pause ends when Portico restarts. In a cluster, all nodes hold the
sign-ins, also one that restarts meanwhile.` + aboutSite,
		Example: "  portico server pause mbx1 --for 60s",
		Args:    cobra.ExactArgs(1),
	}
	api := siteFlags(cmd)
	length := timeFlag(cmd, "for", 0, "how long, at most "+backend.MaxPause.String())
	cmd.MarkFlagRequired("for")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *length <= 0 || *length > backend.MaxPause {
			return fmt.Errorf("--for must be a time up to %v, not %v", backend.MaxPause, *length)
		}
		incomplete, err := api.pause(cmd, args[0], *length)
		if err == nil && api.forPeople() {
			fmt.Fprintf(cmd.OutOrStdout(), "\nThe pause ends by itself, or with: portico server resume %s\n", args[0])
		}
		return cmp.Or(err, incomplete)
	}
	return cmd
}

func newServerResume() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume SERVER",
		Short: "End a pause",
		Long: "Resume admits the held sign-ins, in order of arrival and at a limited rate. In a\n" +
			"cluster, all nodes do." + aboutSite,
		Args: cobra.ExactArgs(1),
	}
	api := siteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		incomplete, err := api.pause(cmd, args[0], 0)
		return cmp.Or(err, incomplete)
	}
	return cmd
}

// pause holds the sign-ins to a server on all nodes; zero ends that. The error incomplete says that a node's answer is
// missing.
func (a *apiCommand) pause(cmd *cobra.Command, server string, d time.Duration) (incomplete, err error) {
	answers, err := postAll[admin.Change](cmd.Context(), a, admin.PathOf(admin.PathServerPause, server),
		admin.PauseRequest{Seconds: d.Seconds()})
	if err != nil {
		return nil, err
	}
	var changes []nodeChange
	for _, from := range answers.answers {
		changes = append(changes, nodeChange{from.answer, from.node})
	}
	return answers.incomplete(), a.printChangedOn(cmd, changes)
}

// paused says how long a server stays paused, and how many sign-ins wait.
func paused(s admin.ServerState) string {
	if s.Paused == 0 && s.Waiting == 0 {
		return "no"
	}
	return fmt.Sprintf("%v, %d wait", inSeconds(s.Paused).Round(time.Second), s.Waiting)
}

func newServerPolicy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy SERVER Unrestricted|Blocked|reset",
		Short: "Set a server's automatic activation policy",
		Long: `With Blocked, no block --move, no rebalance and no failover activates a database
on the server. Unlike after block, portico database move still does. The setting
survives a restart and overrides the configuration until reset. It stands for
Exchange's Set-MailboxServer -DatabaseCopyAutoActivationPolicy.`,
		Args: cobra.ExactArgs(2),
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		policy := args[1]
		if policy == "reset" {
			policy = ""
		}
		return api.change(cmd, admin.PathOf(admin.PathServerPolicy, args[0]),
			admin.PolicyRequest{Policy: policy})
	}
	return cmd
}
