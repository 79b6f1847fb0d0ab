package node

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

func TestMain(m *testing.M) {
	testkit.Main(m, func(args []string) int { return cli.Run(args, os.Stdout, os.Stderr, program) })
}

// program is what the command line is joined with.
var program = cli.Node{Serve: Serve, Check: Check}

// root is the repository.
var root = filepath.Join("..", "..", "..")

// command runs a command line in this process.
func command(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = cli.Run(args, &out, &errs, program)
	return status, out.String(), errs.String()
}
