package backend

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at a time. Its timer is made when somebody first waits for the end: nobody does
// where a connection is there at once, as nearly all are, and for each sign-in a timer costs more than the rest of
// dialling. Safe for concurrent use.
type deadline struct {
	context.Context // the one it is made of
	at              time.Time

	mu      sync.Mutex
	timed   context.Context // nil while nobody waits
	release context.CancelFunc
}

// withTimeout returns a context that ends after d, or when ctx does if that is earlier. Whoever made it calls over in
// the end.
func withTimeout(ctx context.Context, d time.Duration) *deadline {
	at := time.Now().Add(d)
	if sooner, ok := ctx.Deadline(); ok && sooner.Before(at) {
		at = sooner
	}
	return &deadline{Context: ctx, at: at}
}

// Deadline implements context.Context.
func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		d.timed, d.release = context.WithDeadline(d.Context, d.at)
	}
	return d.timed.Done()
}

// Err implements context.Context.
func (d *deadline) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.timed != nil:
		return d.timed.Err()
	case d.Context.Err() != nil:
		return d.Context.Err()
	case !time.Now().Before(d.at):
		return context.DeadlineExceeded
	}
	return nil
}

// over ends the context.
func (d *deadline) over() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.release != nil {
		d.release()
	}
}
