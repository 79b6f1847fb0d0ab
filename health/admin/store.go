package admin

import (
	"context"
	"net/http"
	"time"
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

// storeRoutes adds the store to the pages.
func storeRoutes(mux *http.ServeMux, s Store) {
	get(mux, PathStore, func(r *http.Request) (any, error) { return s.State(r.Context()) })
	get(mux, PathStoreEntries, func(r *http.Request) (any, error) {
		return s.Entries(r.Context(), r.URL.Query().Get("prefix"))
	})
	change(mux, PathStoreBackup, func(ctx context.Context, _ string, _ struct{}) (any, error) {
		made, err := s.Backup(ctx)
		if err == nil {
			Changed(ctx, Difference{"copy", nil, made.File})
		}
		return made, err
	})
}
