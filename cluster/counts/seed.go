package counts

import (
	"context"
	"fmt"
	"io"

	"portico/configs/store"
)

// SeedSize is the length of a seed in bytes.
const SeedSize = 16

// seedKey is where the store has the seed.
const seedKey = "penalties.seed"

// Seed returns the secret with which all nodes of a site make the keys of their counts; see store.Secret. Without it,
// keys do not tell whose they are.
func Seed(ctx context.Context, s store.Store, random io.Reader) ([]byte, error) {
	seed, err := store.Secret(ctx, s, seedKey, SeedSize, random)
	if err != nil {
		return nil, fmt.Errorf("the seed of the site's counts: %w", err)
	}
	return seed, nil
}
