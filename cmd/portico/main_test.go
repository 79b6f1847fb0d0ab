package main

import (
	"bytes"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

func TestMain(m *testing.M) { testkit.Main(m, func([]string) int { main(); return 0 }) }

// command runs a command line in this process.
func command(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = cli.Run(args, &out, &errs, program)
	return status, out.String(), errs.String()
}
