package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"portico/configs"
)

// Exit statuses.
const (
	statusFine   = 0 // done, and the answer is good
	statusBad    = 1 // done, and the answer is bad news
	statusFailed = 2 // could not be done
	// done, and the answer is of a third kind: bench with --strict is in doubt, only a copy of the store is damaged
	statusDoubt = 3
)

// errBadNews ends a command that has done its work and told what is wrong.
var errBadNews = errors.New("bad news")

// errDoubt ends a measurement that the tool itself has spoilt.
var errDoubt = errors.New("in doubt")

// errCopies ends a check that has found the store whole and a copy of it damaged.
var errCopies = errors.New("copies are damaged")

// defaultFile is where the configuration is if nobody says otherwise.
const defaultFile = "/etc/portico/portico.yaml"

// run executes one command line and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := mistyped(root, args)
	if err == nil {
		err = root.Execute()
	}
	return exitStatus(err, stderr)
}

// exitStatus returns the status for how a command ended, and prints an error that the command has not told itself.
func exitStatus(err error, stderr io.Writer) int {
	var problems configs.Problems
	switch {
	case err == nil:
		return statusFine
	case errors.Is(err, errBadNews):
		return statusBad
	case errors.Is(err, errDoubt), errors.Is(err, errCopies):
		return statusDoubt
	case errors.As(err, &problems): // a line each, with its place in the file
		fmt.Fprintln(stderr, visibleText(problems.Error()))
	default:
		fmt.Fprintf(stderr, "portico: %s\n", visibleText(err.Error()))
	}
	return statusFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "portico",
		Short: "The front door of a mail system: an IMAP proxy that measures every command",
		Long: "Portico takes IMAP clients' connections, signs the users in to the mailbox servers that hold " +
			"their mail,\n" +
			"and moves the bytes between the two while it measures every command.\n\n" +
			"Exit status: 0 done and fine, 1 done and the answer is bad news, 2 could not do it,\n" +
			"3 measured with --strict, and the answer is in doubt; or the store is whole, and a copy of it " +
			"is damaged.",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("portico {{.Version}}\n")
	root.AddCommand(newServe(), newCheck(), newDemo(), newServer(), newDatabase(), newSession(), newUser(),
		newPenalty(), newSettings(), newLogCommand(), newHealth(), newProbe(), newOverride(), newComponent(),
		newMaintenance(), newRunbook(), newService(), newTest(), newConfig(), newStore(), newBench(),
		newVersion(), newMan())
	plainErrors(root)
	return root
}

// mistyped says what is wrong with a command line that names no command, nil if it names one. Cobra shows the help of
// the command above and calls that a success.
func mistyped(root *cobra.Command, args []string) error {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	cmd, rest, _ := root.Find(args) // its error is about the same word
	if cmd.Runnable() {
		return nil
	}
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return flagError(cmd, err)
	}
	words := cmd.Flags().Args()
	help, _ := cmd.Flags().GetBool("help")
	if version, _ := cmd.Flags().GetBool("version"); help || version || len(words) == 0 {
		return nil
	}
	return noCommand(cmd, words)
}

// noCommand is the error for words that name no command below cmd.
func noCommand(cmd *cobra.Command, words []string) error {
	return fmt.Errorf("%s has no command %q%s: %s --help lists them", cmd.CommandPath(), words[0],
		meantCommand(cmd, words), cmd.CommandPath())
}

// group is a command that only has others below it.
func group(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.AddCommand(below...)
	return cmd
}

// configFlag gives a command the flag that names the configuration file.
func configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("config", "c", defaultFile, "configuration `file`")
}
