package cli

import (
	"context"
	"io"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/configs"
)

func TestMain(m *testing.M) { commandLine.Main(m) }

// program is a command line that cannot serve, and only reads what it checks.
var program = Node{
	Check: func(_ context.Context, file string) (configs.Problems, error) {
		_, err := configs.Load(file)
		return nil, err
	},
}

var commandLine testkit.CommandLine = func(args []string, stdout, stderr io.Writer) int {
	return Run(args, stdout, stderr, program)
}

// command runs a command line in this process.
var command = commandLine.Run
