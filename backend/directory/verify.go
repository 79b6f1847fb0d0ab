package directory

import (
	"context"
	"errors"
)

// Verifiers ask verifiers in order. The first that knows the user judges; one that cannot tell ends the search.
type Verifiers []Verifier

// Verify implements Verifier.
func (vs Verifiers) Verify(ctx context.Context, q Query) (string, error) {
	unknown := ErrNotFound
	for _, v := range vs {
		user, err := v.Verify(ctx, q)
		if !errors.Is(err, ErrNotFound) {
			return user, err
		}
		if errors.Is(err, ErrOtherName) {
			unknown = err
		}
	}
	return "", unknown
}
