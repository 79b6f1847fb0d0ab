package cli

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newSessionShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show SESSION",
		Short: "Show everything about a session",
		Long: `Show prints what session list -o wide has about one session, each column on its
own line. session list shows the IDs.` + aboutSite,
		Example: "  portico session show 05c2907680677bf6",
		Args:    cobra.ExactArgs(1),
	}
	api := siteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		found, err := api.sessions(cmd.Context(),
			admin.SessionQuery{SessionFilter: admin.SessionFilter{Session: args[0]}})
		if err != nil {
			return err
		}
		if len(found.rows) == 0 { // it may be on a node that does not answer
			return errBadNews
		}
		if api.form == table.Plain {
			api.form = table.List
		}
		return cmp.Or(api.printSessions(cmd, found.rows[0], found.rows), found.incomplete())
	}
	return cmd
}

func newSessionKill() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kill SESSION",
		Short: "End a session with BYE",
		Long: `Kill ends one session, as user kick --session does. It does not prevent new
sign-ins.` + aboutSite,
		Example: "  portico session kill 05c2907680677bf6",
		Args:    cobra.ExactArgs(1),
	}
	api := siteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		which := admin.SessionFilter{Session: args[0]}
		if _, err := api.sessions(cmd.Context(), admin.SessionQuery{SessionFilter: which}); err != nil {
			return err
		}
		return api.kick(cmd, which)
	}
	return cmd
}

// kick ends sessions on all nodes, and prints them.
func (a *apiCommand) kick(cmd *cobra.Command, which admin.SessionFilter) error {
	answers, err := postAll[admin.Kicked](cmd.Context(), a, admin.PathSessionsKick, which)
	if err != nil {
		return err
	}
	done := admin.Kicked{Sessions: []admin.SessionState{}}
	for _, from := range answers.answers {
		done.Ended += from.answer.Ended
		for _, s := range from.answer.Sessions {
			s.Node = from.node
			done.Sessions = append(done.Sessions, s)
		}
	}
	if a.forPeople() {
		fmt.Fprintf(cmd.OutOrStdout(), "%s ended.\n", table.Counted(done.Ended, "session"))
		if done.Ended == 0 {
			return answers.incomplete()
		}
		fmt.Fprintln(cmd.OutOrStdout())
	}
	if err := a.printSessions(cmd, done, done.Sessions); err != nil {
		return err
	}
	return answers.incomplete()
}
