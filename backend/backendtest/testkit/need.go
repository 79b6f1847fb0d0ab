package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"portico/backend/backendtest"
)

// SkipsFile is the environment variable that names the file in which Need notes what
// was skipped, so that a run of all tests can say it at its end.
const SkipsFile = "PORTICO_SKIPS"

// Need skips the test if one of the named programs is not on this machine, and
// fails it where CI is true: there, nothing may be missing. The name dovecot
// stands for all parts of Dovecot that backendtest needs.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if err := look(program); err != nil {
			Lack(t, err)
		}
	}
}

// Lack does what Need does, for anything else that this machine lacks.
func Lack(t testing.TB, reason error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("needed here: %v", reason)
	}
	noteSkip(t, reason)
	t.Skipf("skipped: %v", reason)
}

// Barred skips a test of what the kernel, or whoever runs this machine, does not allow. No installation mends that, so
// it does not fail where CI is true; the list of skipped tests has it.
func Barred(t testing.TB, reason error) {
	t.Helper()
	noteSkip(t, reason)
	t.Skipf("skipped: %v", reason)
}

func look(program string) error {
	if program == "dovecot" {
		_, err := backendtest.LookupDovecot()
		return err
	}
	if _, err := exec.LookPath(program); err != nil {
		return &backendtest.MissingError{Part: program, Err: err}
	}
	return nil
}

func noteSkip(t testing.TB, reason error) {
	t.Helper()
	path := os.Getenv(SkipsFile)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatalf("note a skip: %v", err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s: %v\n", t.Name(), reason); err != nil {
		t.Fatalf("note a skip: %v", err)
	}
}
