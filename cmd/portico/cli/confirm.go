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
	switch answer, err := answerTo(cmd, what+" Go on? [yes, no] "); {
	case err != nil:
		return err
	case strings.EqualFold(answer, "y"), strings.EqualFold(answer, "yes"):
		return nil
	}
	return errDeclined
}

// confirmName asks for a name, because what happens next cannot be undone.
func confirmName(cmd *cobra.Command, what, name string) error {
	answer, err := answerTo(cmd, what+" Write its name to go on: ")
	if err == nil && answer != name {
		err = errDeclined
	}
	return err
}

// answerTo asks a question on the terminal, and returns the line that is the answer.
func answerTo(cmd *cobra.Command, question string) (string, error) {
	fmt.Fprint(cmd.ErrOrStderr(), visibleText(question))
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	answer := strings.TrimSpace(line)
	if answer == "" && err != nil {
		fmt.Fprintln(cmd.ErrOrStderr())
		return "", fmt.Errorf("%w: there is no terminal to confirm on; --yes continues without asking", errDeclined)
	}
	return answer, nil
}
