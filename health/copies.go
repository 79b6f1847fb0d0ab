package health

import (
	"context"
	"errors"
	"strings"
	"time"
)

// The check of a mailbox server's copies, and the monitor that judges it.
const (
	DatabaseCopyStatusCheck   = "DatabaseCopyStatusCheck"
	DatabaseCopyStatusMonitor = "DatabaseCopyStatusMonitor"
)

// The timing of the check and its monitor. A copy may be out of use for a minute.
const (
	CopiesInterval = 10 * time.Second
	CopiesTimeout  = 5 * time.Second
	CopiesFailures = 6
)

// Copies checks whether a mailbox server's copies could be used. unusable says which cannot, and why, though no other
// monitor of that fails: recovery has moved users away, and nothing has shown since that the fault is over.
func Copies(server string, unusable func() []string) func(context.Context, *Run) error {
	return func(_ context.Context, run *Run) error {
		run.Mailbox = server
		found := unusable()
		run.Value = float64(len(found))
		if len(found) == 0 {
			return nil
		}
		return &Failure{HighAvailability, "copies", errors.New(strings.Join(found, "; "))}
	}
}
