package testkit

import (
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

// Main is the TestMain of a package whose tests start Program: it runs the tests, or main where Program has started
// the test binary. main gets the arguments, without the program's name, and returns the exit status.
func Main(m *testing.M, main func(args []string) (status int)) {
	if os.Getenv(asProgram) != "" {
		os.Exit(main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// Program returns a portico command line that was not started yet. It is killed with the test.
func Program(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(Context(t), self, args...)
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
