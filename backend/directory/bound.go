package directory

import (
	"context"
	"errors"
	"time"
)

// Bound lets only so many questions be under way to a source that is not at hand, each for so long, and has sign-ins wait for it
// where they hold nobody up. It is safe for concurrent use.
type Bound struct {
	source  Source
	turns   chan struct{}
	timeout time.Duration
}

// NewBound returns a bounded source: inFlight questions at once, and timeout for each, the wait for its turn included.
func NewBound(source Source, inFlight int, timeout time.Duration) *Bound {
	return &Bound{source: source, turns: make(chan struct{}, inFlight), timeout: timeout}
}

// Lookup implements Source.
func (b *Bound) Lookup(ctx context.Context, q Query) (entry Entry, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	asked := q
	asked.Away = nil // it will be away already
	q.Wait(func() {
		select {
		case b.turns <- struct{}{}:
			defer func() { <-b.turns }()
			entry, err = b.source.Lookup(ctx, asked)
		case <-ctx.Done():
			err = Unavailable("directory", errors.New("too many questions wait"))
		}
	})
	return entry, err
}
