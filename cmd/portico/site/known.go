package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"portico/configs/store"
)

// KnownFile is the file in data_dir with what a node knows of its site's store: for a start while etcd is away, and for
// leaving a site whose etcd is lost.
const KnownFile = "portico.site"

// Known returns a store in memory with what a node knew of its site's store last.
func Known(ctx context.Context, dataDir string) (store.Store, error) {
	known, err := store.ReadKnown(filepath.Join(dataDir, KnownFile))
	if err != nil {
		return nil, fmt.Errorf("what this node knew of its site: %w", err)
	}
	s := store.Memory()
	for _, e := range known.Entries {
		if _, err := s.CompareAndSet(ctx, e.Key, 0, e.Value); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Forget removes what a node knew of its site's store.
func Forget(dataDir string) error {
	err := os.Remove(filepath.Join(dataDir, KnownFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
