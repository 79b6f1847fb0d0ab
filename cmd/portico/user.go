package main

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"portico/health/admin"
)

func newUser() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Find a user's mailbox, and end a user's sessions",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newUserWhere(), newUserKick())
	return cmd
}

func newUserWhere() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "where USER",
		Short: "Tell in which database and on which server a user's mailbox is",
		Long: "Where asks the directory as a sign-in would, but for the password. If the directory refuses the user, does not know the user,\n" +
			"or does not answer, it says so.",
		Args: cobra.ExactArgs(1),
	}
	ask := askFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var at admin.Place
		if err := ask.get(cmd.Context(), "/api/v1/users/"+url.PathEscape(args[0]), &at); err != nil {
			return err
		}
		row := []string{at.User, at.Database, at.Server, strconv.Itoa(at.Sessions)}
		return ask.print(cmd.OutOrStdout(), at, []string{"User", "Database", "Server", "Sessions"}, [][]string{row})
	}
	return cmd
}

func newUserKick() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kick USER",
		Short: "End a user's sessions, each with BYE",
		Long:  "Kick ends the sessions that there are. It keeps nobody from signing in again.",
		Args:  cobra.ExactArgs(1),
	}
	ask := askFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var result struct{ Ended int }
		if err := ask.post(cmd.Context(), "/api/v1/users/"+url.PathEscape(args[0])+"/kick", struct{}{}, &result); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%d sessions ended.\n", result.Ended)
		return nil
	}
	return cmd
}
