package testkit

import (
	"bytes"
	"cmp"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"portico/backend/backendtest"
)

// asProgram and AsProgram, in the environment, make a test binary behave as the program that it tests.
const (
	asProgram = "PORTICO_TEST_AS_PROGRAM"
	AsProgram = asProgram + "=1"
)

// CommandLine runs a command line of the program under test. args do not include the program's name.
type CommandLine func(args []string, stdout, stderr io.Writer) (status int)

// Main is the TestMain of a package whose tests start Program: it runs the tests, or the command line if Program has
// started the test binary.
func (run CommandLine) Main(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// Run runs a command line in this process, and returns what it prints.
func (run CommandLine) Run(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}

// packaged names in the environment a program that is tested instead of the test binary: what a package installs.
const packaged = "PORTICO_TEST_PROGRAM"

// Program returns a portico command line that was not started yet. It is killed when the test ends, and not before:
// nothing that the test sees would say so.
func Program(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), cmp.Or(os.Getenv(packaged), self), args...)
	cmd.Env = append(os.Environ(), AsProgram)
	return cmd
}

// Sink starts a mailbox server that answers as fast as it can, and writes the password that it takes from everybody to
// a file.
func Sink(t testing.TB) (addr, passwords string) {
	t.Helper()
	passwords = filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(passwords, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Serve(t, backendtest.NewSink(nil)), passwords
}

// Commands lists the commands that do something, by the words that call them.
func Commands(root *cobra.Command) map[string]*cobra.Command {
	all := make(map[string]*cobra.Command)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Runnable() {
			_, words, _ := strings.Cut(cmd.CommandPath(), " ")
			all[words] = cmd
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(root)
	return all
}
