package node

import (
	"io"
	"path/filepath"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

func TestMain(m *testing.M) {
	dieInAnUpgrade()
	hangAsEarlier()
	commandLine.Main(m)
}

// program is what the command line is joined with.
var program = cli.Node{Serve: Serve, ServeDemo: ServeDemo, Check: Check}

// root is the repository.
var root = filepath.Join("..", "..", "..")

var commandLine testkit.CommandLine = func(args []string, stdout, stderr io.Writer) int {
	return cli.Run(args, stdout, stderr, program)
}

// command runs a command line in this process.
var command = commandLine.Run
