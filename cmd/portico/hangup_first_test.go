//go:build unix

package main

import (
	"slices"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

// Of all packages with work to do at the start, hangup must come before those of other authors that need package os,
// and before ours. What comes before it is the window in which SIGHUP ends the process.
func TestHangupIsIgnoredFirst(t *testing.T) {
	cmd := testkit.Program(t, "version")
	cmd.Env = append(cmd.Env, "GODEBUG=inittrace=1")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	var before []string
	found := false
	for line := range strings.Lines(string(said)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "init" {
			continue
		}
		if found = f[1] == "portico/cmd/portico/hangup"; found {
			break
		}
		before = append(before, f[1])
	}
	if !found || !slices.Contains(before, "os/signal") {
		t.Fatalf("no trace of the package\n%s", said)
	}
	for _, later := range []string{"main", "reflect", "net", "github.com/prometheus/client_golang/prometheus",
		"portico/configs"} {
		if slices.Contains(before, later) {
			t.Errorf("%s is initialised before hangup", later)
		}
	}
}
