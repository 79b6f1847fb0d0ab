package health

import (
	"context"
	"errors"
	"strings"
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
