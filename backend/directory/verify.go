package directory

import (
	"context"
	"errors"
)

// Verifiers ask verifiers in order. The first that knows the user judges; one that cannot tell ends the search.
type Verifiers []Verifier

// Verify implements Verifier.
func (vs Verifiers) Verify(ctx context.Context, q Query) error {
	for _, v := range vs {
		if err := v.Verify(ctx, q); !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return ErrNotFound
}
