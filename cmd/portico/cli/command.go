// Package cli implements the command line, with one file per noun. Commands about a running Portico ask it over HTTP
// (health/admin/client), as a script would. bench, check, test and the offline parts of store and database need no
// running Portico. The package does not import the node: main passes in the functions that serve and check one.
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
	StatusBad    = 1 // done, and the answer is bad
	StatusFailed = 2 // the command failed
	// done, with a third answer: bench --strict was short of CPU, or only a copy of the store is damaged
	StatusDoubt = 3
	// a measurement was ended early, by a signal or a key; what it reports is a part
	StatusEnded = 130
)

// errBadNews ends a command that has done its work and printed a bad answer.
var errBadNews = errors.New("bad news")

// errDoubt ends a measurement that is in doubt because the tool was short of CPU.
var errDoubt = errors.New("in doubt")

// errEnded ends a measurement that was ended early.
var errEnded = errors.New("ended early")

// errCopies ends a check that has found the store intact and a copy of it damaged.
var errCopies = errors.New("copies are damaged")

// defaultFile is the default path of the configuration file.
const defaultFile = "/etc/portico/portico.yaml"

// Node holds the functions of the node that serve, demo and check need. All other commands ask a running Portico.
type Node struct {
	// Serve runs a Portico with a configuration file until a signal ends it. It calls started once it accepts clients,
	// with the addresses of its listeners in the order of the file, and the address of HTTP, or nil without HTTP.
	Serve func(file string, signals <-chan os.Signal, log io.Writer,
		started func(listeners []net.Addr, http net.Addr)) error
	// ServeDemo is Serve for a Portico whose mailbox servers are in its own process.
	ServeDemo func(file string, signals <-chan os.Signal, log io.Writer,
		started func(listeners []net.Addr, http net.Addr)) error
	// Check returns all errors and warnings about a configuration file. It returns an error only if it cannot read the
	// file.
	Check func(ctx context.Context, file string) (configs.Problems, error)
}

// Run executes one command line, without the program's name, and returns the exit status.
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

// ExitStatus returns the exit status for a command's error, and prints the error unless the command already has.
func ExitStatus(err error, stderr io.Writer) int {
	var problems configs.Problems
	switch {
	case err == nil:
		return StatusFine
	case errors.Is(err, errBadNews):
		return StatusBad
	case errors.Is(err, errDoubt), errors.Is(err, errCopies):
		return StatusDoubt
	case errors.Is(err, errEnded):
		return StatusEnded
	case errors.As(err, &problems): // a line each, with its place in the file
		fmt.Fprintln(stderr, visibleText(problems.Error()))
	default:
		fmt.Fprintf(stderr, "portico: %s\n", visibleText(err.Error()))
	}
	return StatusFailed
}

// New returns the root command portico with all its subcommands.
func New(node Node) *cobra.Command {
	root := &cobra.Command{
		Use:   "portico",
		Short: "IMAP proxy that routes users to their mailbox servers and measures every command",
		Long: `Portico accepts IMAP connections, signs users in to the mailbox servers that
hold their mail, and relays the connection while it measures every command.

Exit status:
  0    done, and the answer is good
  1    done, and the answer is bad
  2    the command failed
  3    with --strict: measured, but the tool was short of CPU
       with store check: the store is intact, but a copy of it is damaged
  130  with bench: a signal ended the measurement early`,
		Version:       release.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("portico {{.Version}}\n")
	task(root, "now", "Sessions and users", newSession(), newStats(), newTop(), newLogCommand(),
		newUser(), newPenalty())
	task(root, "servers", "Mailbox servers and databases", newServer(), newDatabase(), newCanary())
	task(root, "health", "Health and recovery", newHealth(), newProbe(), newOverride(), newRunbook(), newMaintenance(),
		newComponent(), newService())
	task(root, "run", "Running and configuration", newServe(node), newDemo(node), newCheck(node), newSettings(),
		newConfig(), newStore(), newCluster(), newNode(), newToken(), newVersion(), newMan())
	task(root, "measure", "Measuring", newBench(), newTest())
	root.SetHelpCommandGroupID("run")
	root.SetCompletionCommandGroupID("run")
	plainErrors(root)
	completeNames(root)
	return root
}

// task adds commands under a heading of the root's help.
func task(root *cobra.Command, id, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: title + ":"})
	for _, cmd := range commands {
		cmd.GroupID = id
	}
	root.AddCommand(commands...)
}

// mistyped returns the error about a command line that names no command, nil if it names one. Cobra would show the
// help of the parent command and succeed.
func mistyped(root *cobra.Command, args []string) error {
	if len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd) {
		return nil // a shell asks how a line goes on
	}
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

// noCommand returns the error for words that name no command below cmd.
func noCommand(cmd *cobra.Command, words []string) error {
	return fmt.Errorf("%s has no command %q%s: %s --help lists the commands", cmd.CommandPath(), words[0],
		meantCommand(cmd, words), cmd.CommandPath())
}

// group returns cmd with subcommands. cmd itself does nothing.
func group(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.AddCommand(below...)
	return cmd
}

// configFlag gives a command the flag that names the configuration file.
func configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("config", "c", defaultFile, "configuration `file`")
}
