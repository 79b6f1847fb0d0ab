package main

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"portico/backend/backendtest/testkit"
)

// asProgram makes the test binary behave as portico.
const asProgram = "PORTICO_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// program is a portico command line that was not started yet. It is killed with the test.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(testkit.Context(t), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// command runs a command line in this process.
func command(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}
