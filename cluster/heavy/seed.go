package heavy

import (
	"context"
	"errors"
	"fmt"
	"io"

	"portico/configs/store"
)

// SeedSize is the length of a seed in bytes.
const SeedSize = 16

// seedKey is where the store has the seed.
const seedKey = "penalties.seed"

// Seed returns the secret with which all nodes of a site make the keys of their counts. Whoever comes first makes it;
// it never changes. Without it, keys do not tell whose they are.
func Seed(ctx context.Context, s store.Store, random io.Reader) ([]byte, error) {
	made := make([]byte, SeedSize)
	if _, err := io.ReadFull(random, made); err != nil {
		return nil, err
	}
	for {
		entry, err := s.Get(ctx, seedKey)
		switch {
		case errors.Is(err, store.ErrNotFound):
			_, err = s.CompareAndSet(ctx, seedKey, 0, made)
		case err == nil && len(entry.Value) != SeedSize:
			err = fmt.Errorf("%s has %d bytes instead of %d", seedKey, len(entry.Value), SeedSize)
		case err == nil:
			return entry.Value, nil
		}
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return nil, fmt.Errorf("the seed of the site's counts: %w", err)
		}
	}
}
