// Package cli is the command line: one file per noun. A command that is about a running Portico asks it over HTTP
// (health/admin/client), as any script can; bench, check, test and the offline half of store and database work by
// themselves. The package does not know the node: whoever joins the two passes in how a Portico is served and checked.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/spf13/cobra"

	"portico/cmd/portico/release"
	"portico/configs"
)

// Exit statuses.
const (
	StatusFine   = 0 // done, and the answer is good
	StatusBad    = 1 // done, and the answer is bad news
	StatusFailed = 2 // could not be done
	// done, and the answer is of a third kind: bench with --strict is in doubt, only a copy of the store is damaged
	StatusDoubt = 3
)

// errBadNews ends a command that has done its work and told what is wrong.
var errBadNews = errors.New("bad news")

// errDoubt ends a measurement that the tool itself has spoilt.
var errDoubt = errors.New("in doubt")

// errCopies ends a check that has found the store whole and a copy of it damaged.
var errCopies = errors.New("copies are damaged")

// defaultFile is where the configuration is if nobody says otherwise.
const defaultFile = "/etc/portico/portico.yaml"

// Node is a running Portico, for the commands that are one or judge its configuration. All other commands ask one.
type Node struct {
	// Serve runs a Portico from a configuration file until a signal ends it. started is called once it takes clients,
	// with the addresses of its listeners, in the order of the file, and that of HTTP, nil if there is none.
	Serve func(file string, signals <-chan os.Signal, log io.Writer,
		started func(listeners []net.Addr, http net.Addr)) error
	// Check returns all that is to say of a configuration file. An error is that of a file that cannot be read.
	Check func(ctx context.Context, file string) (configs.Problems, error)
}

// Run executes one command line, the program's name left out, and returns the exit status.
func Run(args []string, stdout, stderr io.Writer, node Node) int {
	root := New(node)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := mistyped(root, args)
	if err == nil {
		err = root.Execute()
	}
	return ExitStatus(err, stderr)
}

// ExitStatus returns the status for how a command ended, and prints an error that the command has not told itself.
func ExitStatus(err error, stderr io.Writer) int {
	var problems configs.Problems
	switch {
	case err == nil:
		return StatusFine
	case errors.Is(err, errBadNews):
		return StatusBad
	case errors.Is(err, errDoubt), errors.Is(err, errCopies):
		return StatusDoubt
	case errors.As(err, &problems): // a line each, with its place in the file
		fmt.Fprintln(stderr, visibleText(problems.Error()))
	default:
		fmt.Fprintf(stderr, "portico: %s\n", visibleText(err.Error()))
	}
	return StatusFailed
}

// New returns the command line: the command portico, with all others below it.
func New(node Node) *cobra.Command {
	root := &cobra.Command{
		Use:   "portico",
		Short: "The front door of a mail system: an IMAP proxy that measures every command",
		Long: "Portico takes IMAP clients' connections, signs the users in to the mailbox servers that hold " +
			"their mail,\n" +
			"and moves the bytes between the two while it measures every command.\n\n" +
			"Exit status: 0 done and fine, 1 done and the answer is bad news, 2 could not do it,\n" +
			"3 measured with --strict, and the answer is in doubt; or the store is whole, and a copy of it " +
			"is damaged.",
		Version:       release.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("portico {{.Version}}\n")
	root.AddCommand(newServe(node), newCheck(node), newDemo(node), newServer(), newDatabase(), newSession(), newUser(),
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
