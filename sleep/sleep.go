// Package sleep waits, as time.Sleep does, but no longer than a context lasts. It stands below every other package of
// Portico.
package sleep

import (
	"context"
	"time"
)

// For waits for d, or until ctx ends: then it returns the cause.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
