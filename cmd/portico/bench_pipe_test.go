//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// A run whose standard output nobody reads still writes its page, and fails.
func TestBenchWithoutReader(t *testing.T) {
	addr, passwords := testkit.Sink(t)
	page := filepath.Join(t.TempDir(), "report.html")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	run := testkit.Program(t, "bench", "run", "--target", addr, "--users", "u", "--password-file", passwords,
		"--sessions", "1", "--duration", "1s", "--report", page)
	var said strings.Builder
	run.Stdout, run.Stderr = write, &said
	err = run.Run()
	write.Close()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != cli.StatusFailed ||
		!strings.Contains(said.String(), "broken pipe") {
		t.Errorf("it ended with %v\n%s", err, said.String())
	}
	if _, err := os.Stat(page); err != nil {
		t.Error(err)
	}
}
