package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
)

func newSession() *cobra.Command {
	return group(&cobra.Command{Use: "session", Short: "Look at the signed-in sessions"},
		newSessionList(), newSessionSlow())
}

func newSessionList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List who is connected where, and what each session does",
		Args:  cobra.NoArgs,
	}
	ask := askHere(cmd)
	user := cmd.Flags().String("user", "", "only sessions of this `user`, by the name as it is listed")
	server := cmd.Flags().String("server", "", "only sessions on this mailbox `server`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var all []admin.SessionState
		if err := ask.get(cmd.Context(), "/api/v1/sessions", &all); err != nil {
			return err
		}
		wanted, rows := []admin.SessionState{}, [][]string{}
		for _, s := range all {
			if *user != "" && s.User != *user || *server != "" && s.Server != *server {
				continue
			}
			wanted = append(wanted, s)
			doing := strconv.Itoa(s.Open) + " open"
			if s.Oldest >= 1 {
				doing += ", " + inSeconds(s.Oldest).Round(time.Second).String()
			}
			if s.Idling {
				doing = "IDLE"
			}
			silent := inSeconds(s.Silent).Round(time.Second).String()
			rows = append(rows, []string{s.ID, s.User, s.Remote, s.Database, s.Server, strconv.FormatUint(s.Commands, 10), doing, silent})
		}
		return ask.print(cmd.OutOrStdout(), wanted, []string{"Session", "User", "Client", "Database", "Server", "Commands", "Doing", "Silent"}, rows)
	}
	return cmd
}
