package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"portico/health/admin"
)

func newUser() *cobra.Command {
	return group(&cobra.Command{Use: "user", Short: "Find a user's mailbox, put a user in another database, and end a user's sessions"},
		newUserWhere(), newUserMove(), newUserKick())
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
		return ask.place(cmd, at)
	}
	return cmd
}

// place prints where a user is.
func (a *asking) place(cmd *cobra.Command, at admin.Place) error {
	row := []string{at.User, at.Database, at.Server, yesNo(at.Moved), strconv.Itoa(at.Sessions)}
	return a.print(cmd.OutOrStdout(), at, []string{"User", "Database", "Server", "Moved", "Sessions"}, [][]string{row})
}

func newUserMove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "move USER DATABASE|--clear",
		Short: "Put a user in another database, whatever the directory says",
		Long: "Move holds the user's sign-ins, waits for those under way, ends the user's sessions, and from then on routes the user to the other\n" +
			"database, also after a restart; --clear goes back to what the directory says. Portico moves no mail: do that first, and\n" +
			"once more behind this.",
		Args: cobra.RangeArgs(1, 2),
	}
	ask := askFlags(cmd)
	back := cmd.Flags().Bool("clear", false, "go back to what the directory says")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *back == (len(args) == 2) {
			return errors.New("give a database, or --clear")
		}
		database := ""
		if !*back {
			database = args[1]
		}
		var at admin.Place
		if err := ask.post(cmd.Context(), "/api/v1/users/"+url.PathEscape(args[0])+"/move", map[string]string{"database": database}, &at); err != nil {
			return err
		}
		return ask.place(cmd, at)
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
