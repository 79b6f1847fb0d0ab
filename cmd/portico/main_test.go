package main

import (
	"io"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

func TestMain(m *testing.M) {
	testkit.CommandLine(func([]string, io.Writer, io.Writer) int { main(); return 0 }).Main(m)
}

// command runs a command line in this process.
var command = testkit.CommandLine(func(args []string, stdout, stderr io.Writer) int {
	return cli.Run(args, stdout, stderr, program)
}).Run
