package store

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Secret returns a secret of size bytes that all who share a store use. Whoever comes first makes it; it never
// changes. One that was damaged is an error: a secret of another length would be one that others can guess.
func Secret(ctx context.Context, s Store, key string, size int, random io.Reader) ([]byte, error) {
	for {
		entry, err := s.Get(ctx, key)
		switch {
		case errors.Is(err, ErrNotFound):
			made := make([]byte, size)
			if _, err = io.ReadFull(random, made); err == nil {
				_, err = s.CompareAndSet(ctx, key, 0, made)
			}
		case err == nil && len(entry.Value) != size:
			err = fmt.Errorf("%s has %d bytes instead of %d", key, len(entry.Value), size)
		case err == nil:
			return entry.Value, nil
		}
		if err != nil && !errors.Is(err, ErrConflict) { // else another node was faster
			return nil, err
		}
	}
}
