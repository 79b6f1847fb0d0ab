package directory

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// waitersPerTurn is how many questions may wait for each that may be under way.
const waitersPerTurn = 16

// Bound limits how many questions are under way to what is not at hand, and how long each takes, and has sign-ins wait
// for it where they hold nobody up. It is safe for concurrent use.
type Bound struct {
	turns   chan struct{}
	inside  atomic.Int64 // questions under way and waiting
	timeout time.Duration
	wait    Wait
}

// NewBound returns a bound of inFlight questions at once, and timeout for each, the wait for its turn included. 16
// times as many may wait; nobody knows what there is to know for those beyond. All of them wait by wait.
func NewBound(inFlight int, timeout time.Duration, wait Wait) *Bound {
	return &Bound{turns: make(chan struct{}, inFlight), timeout: timeout, wait: wait}
}

// Source returns s within the bound.
func (b *Bound) Source(s Source) Source { return boundSource{b, s} }

// Verifier returns v within the bound.
func (b *Bound) Verifier(v Verifier) Verifier { return boundVerifier{b, v} }

// do asks when it is this question's turn.
func (b *Bound) do(ctx context.Context, ask func(context.Context) error) (err error) {
	defer b.inside.Add(-1)
	if b.inside.Add(1) > int64(cap(b.turns))*(1+waitersPerTurn) {
		return Unavailable("directory", errors.New("too many lookups are waiting"))
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	b.wait(ctx, func(ctx context.Context) {
		select {
		case b.turns <- struct{}{}:
			defer func() { <-b.turns }()
			err = ask(ctx)
		case <-ctx.Done():
			err = Unavailable("directory", errors.New("timed out waiting for a free lookup"))
		}
	})
	return err
}

type boundSource struct {
	bound  *Bound
	source Source
}

// Lookup implements Source.
func (b boundSource) Lookup(ctx context.Context, q Query) (entry Entry, err error) {
	err = b.bound.do(ctx, func(ctx context.Context) (err error) {
		entry, err = b.source.Lookup(ctx, q)
		return err
	})
	return entry, err
}

type boundVerifier struct {
	bound    *Bound
	verifier Verifier
}

// Verify implements Verifier.
func (b boundVerifier) Verify(ctx context.Context, q Query) (user string, err error) {
	err = b.bound.do(ctx, func(ctx context.Context) (err error) {
		user, err = b.verifier.Verify(ctx, q)
		return err
	})
	return user, err
}
