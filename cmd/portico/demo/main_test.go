package demo_test

import (
	"io"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/cmd/portico/node"
)

func TestMain(m *testing.M) { commandLine.Main(m) }

var commandLine testkit.CommandLine = func(args []string, stdout, stderr io.Writer) int {
	return cli.Run(args, stdout, stderr, cli.Node{ServeDemo: node.ServeDemo, Check: node.Check})
}

// command runs a command line in this process.
var command = commandLine.Run
