package cli

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/health/recovery"
)

func newService() *cobra.Command {
	return group(&cobra.Command{Use: "service",
		Short: "Show readiness and restart services, of this node or of a mailbox server",
		Long: `Service shows whether this node takes clients, and restarts a front end or a
mailbox server at once. For planned work use portico maintenance.`},
		newServiceStatus(), newServiceRestart(), newServiceUpgrade(), newServiceGenerations())
}

func newServiceStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show whether this node is ready for clients, and what is not ready",
		Long:  "Exit status: 0 the node is ready, 1 it is not, 2 Portico does not answer.",
		Args:  cobra.NoArgs,
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := api.client(cmd.Context())
		if err != nil {
			return err
		}
		status, text, err := c.Text(cmd.Context(), "/readyz")
		if err != nil {
			return err
		}
		if err := api.printReadiness(cmd, text); err != nil {
			return err
		}
		if status != http.StatusOK {
			return errBadNews
		}
		return nil
	}
	return cmd
}

// printReadiness prints the answer of /readyz: the verdict, then a line for each check.
func (a *apiCommand) printReadiness(cmd *cobra.Command, text string) error {
	if a.form == table.Plain {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), visibleText(strings.TrimSpace(text)))
		return err
	}
	type check struct {
		Check string `json:"check"`
		State string `json:"state"`
	}
	verdict, lines, _ := strings.Cut(strings.TrimSpace(text), "\n")
	state := struct {
		Verdict string  `json:"verdict"`
		Checks  []check `json:"checks"`
	}{verdict, []check{}}
	rows := table.New("Check", "State")
	for line := range strings.Lines(lines) {
		name, found, _ := strings.Cut(strings.TrimSpace(line), ": ")
		rows.Add(name, found)
		state.Checks = append(state.Checks, check{name, found})
	}
	return a.print(cmd, state, rows)
}

func newServiceRestart() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restart [SERVER]",
		Short: "Restart this node's front end, or a mailbox server's service",
		Long: `Without a server, restart restarts this node's front end: it closes and reopens
the listeners, reads certificates and keys again, and opens new connections to
the directory and the mailbox servers. Open sessions continue. With a server, it
runs health.recovery.restart_service for it. --machine runs
health.recovery.restart_server instead, and is refused while a database is
active there.

The recovery log records each restart.

Exit status: 0 done, 1 there was nothing to do or it was refused, 2 it failed.`,
		Args: cobra.MaximumNArgs(1),
	}
	api := apiFlags(cmd)
	machine := cmd.Flags().Bool("machine", false, "restart the whole server instead of its service")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		request := admin.RecoveryRequest{Action: recovery.RestartFrontEnd}
		switch {
		case len(args) == 1 && *machine:
			request.Action, request.Server = recovery.RestartServer, args[0]
		case len(args) == 1:
			request.Action, request.Server = recovery.RestartService, args[0]
		case *machine:
			return fmt.Errorf("--machine needs the name of a mailbox server")
		}
		record, err := api.recover(cmd, request)
		if err != nil {
			return err
		}
		row := table.New("Id", "Resource", "Result", "Message").Keep("Result", "Message")
		row.Add(string(record.ID), record.Resource, string(record.Result), record.Message)
		if err := api.print(cmd, record, row); err != nil {
			return err
		}
		if record.Result != recovery.ResultSucceeded {
			return errBadNews
		}
		return nil
	}
	return cmd
}

// recover requests a recovery action.
func (a *apiCommand) recover(cmd *cobra.Command, r admin.RecoveryRequest) (record recovery.Record, err error) {
	err = a.post(cmd.Context(), admin.PathRecovery, r, &record)
	return record, err
}
