package admin

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// The paths of the store.
const (
	PathStore        = prefix + "store"
	PathStoreEntries = PathStore + "/entries"
	PathStoreBackup  = PathStore + "/backup"
)

// Store is the store of what changes at run time, and its copies.
type Store interface {
	// State reads the file on the disk, holds it against what Portico has in memory, and lists the copies.
	State(ctx context.Context) (StoreState, error)
	// Entries lists the entries whose key begins with prefix.
	Entries(ctx context.Context, prefix string) ([]StoreEntry, error)
	// Backup writes a copy into the folder of copies.
	Backup(ctx context.Context) (StoreCopy, error)
}

// StoreState says whether a store is whole.
type StoreState struct {
	File     string      `json:"file"`
	Revision uint64      `json:"revision"`
	Entries  int         `json:"entries"`
	Damage   string      `json:"damage,omitempty"` // what is wrong with the file; "": nothing
	Copies   []StoreCopy `json:"copies"`           // the newest first
}

// StoreCopy is a copy of the store.
type StoreCopy struct {
	File     string    `json:"file"`
	Taken    time.Time `json:"taken"`
	Reason   string    `json:"reason"` // daily, by-hand, before-restore, before-format-2
	Revision uint64    `json:"revision"`
	Entries  int       `json:"entries"`
	Damage   string    `json:"damage,omitempty"`
}

// StoreEntry is what the store has below a key. Secrets are masked.
type StoreEntry struct {
	Key      string `json:"key"`
	Revision uint64 `json:"revision"`
	Value    string `json:"value"`
}

// storeRoutes adds the store to the API.
func storeRoutes(api huma.API, s Store) {
	get(api, "show-store", PathStore, "Say whether the store is whole, and list its copies",
		func(ctx context.Context, _ *None) (StoreState, error) { return s.State(ctx) })
	get(api, "list-store-entries", PathStoreEntries, "List the entries of the store",
		func(ctx context.Context, of *struct {
			Prefix string `query:"prefix"`
		}) ([]StoreEntry, error) {
			return s.Entries(ctx, of.Prefix)
		})
	change(api, "back-up-store", PathStoreBackup, "Write a copy of the store",
		func(ctx context.Context, _ string, _ None) (StoreCopy, error) {
			made, err := s.Backup(ctx)
			if err == nil {
				Changed(ctx, Difference{"copy", nil, made.File})
			}
			return made, err
		})
}
