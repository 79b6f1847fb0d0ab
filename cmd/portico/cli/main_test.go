package cli

import (
	"bytes"
	"context"
	"os"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/configs"
)

func TestMain(m *testing.M) {
	testkit.Main(m, func(args []string) int { return Run(args, os.Stdout, os.Stderr, program) })
}

// program is a command line that cannot serve, and only reads what it checks.
var program = Node{
	Check: func(_ context.Context, file string) (configs.Problems, error) {
		_, err := configs.Load(file)
		return nil, err
	},
}

// command runs a command line in this process.
func command(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = Run(args, &out, &errs, program)
	return status, out.String(), errs.String()
}
