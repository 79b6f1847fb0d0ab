package demo_test

import (
	"bytes"
	"os"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/cmd/portico/node"
)

func TestMain(m *testing.M) {
	testkit.Main(m, func(args []string) int { return cli.Run(args, os.Stdout, os.Stderr, program) })
}

// program is what the command line is joined with.
var program = cli.Node{Serve: node.Serve, Check: node.Check}

// command runs a command line in this process.
func command(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = cli.Run(args, &out, &errs, program)
	return status, out.String(), errs.String()
}
