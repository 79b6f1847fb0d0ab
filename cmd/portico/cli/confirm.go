package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// yesFlag gives a command that asks for confirmation the flag --yes.
func yesFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("yes", false, "do not ask for confirmation")
}

// errDeclined ends a command that was not confirmed.
var errDeclined = errors.New("nothing has changed")

// confirm asks whether to continue. Without an answer nothing happens.
func confirm(cmd *cobra.Command, what string) error {
	fmt.Fprintf(cmd.ErrOrStderr(), "%s Go on? [yes, no] ", visibleText(what))
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	switch answer := strings.ToLower(strings.TrimSpace(line)); {
	case answer == "y" || answer == "yes":
		return nil
	case answer == "" && err != nil:
		fmt.Fprintln(cmd.ErrOrStderr())
		return fmt.Errorf("%w: there is no terminal to confirm on; --yes continues without asking", errDeclined)
	}
	return errDeclined
}

// confirmName asks for a name, because what happens next cannot be undone.
func confirmName(cmd *cobra.Command, what, name string) error {
	fmt.Fprintf(cmd.ErrOrStderr(), "%s Write its name to go on: ", visibleText(what))
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	switch answer := strings.TrimSpace(line); {
	case answer == name:
		return nil
	case answer == "" && err != nil:
		fmt.Fprintln(cmd.ErrOrStderr())
		return fmt.Errorf("%w: there is no terminal to confirm on; --yes continues without asking", errDeclined)
	}
	return errDeclined
}
