package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"portico/configs"
	"portico/configs/store"
	"portico/health/admin"
)

// storeLook is how often the store's file is read again, and a daily copy made where one is due.
const storeLook = 10 * time.Minute

// openStore opens the store of a configuration that was read from a file.
func openStore(config *configs.Config, file string) (*store.File, error) {
	s, err := store.Open(config.DataDir, time.Now())
	return s, storeError(err, config, file)
}

// storeError says which store an error is about, and of a damaged one how to go on.
func storeError(err error, config *configs.Config, file string) error {
	var damage *store.Damage
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &damage):
		return fmt.Errorf("data_dir %s: %w", config.DataDir, err)
	}
	return fmt.Errorf("data_dir %s: %w\nNothing was changed. To go on:\n%s", config.DataDir, err, waysOn(config.DataDir, file))
}

// waysOn lists the commands that help with a store that was refused. It offers only what can work.
func waysOn(dir, file string) string {
	path := filepath.Join(dir, store.FileName)
	remove := []string{path, filepath.Join(dir, store.IdentityName)}
	var ways strings.Builder
	way := func(does string, args ...string) {
		fmt.Fprintf(&ways, "  portico store %-*s %s\n", len(file)+len(path)+24, strings.Join(args, " "), does)
	}
	way("shows what is whole, and the copies", "check", "-c", file)
	copies, err := store.Copies(dir)
	if err == nil && len(copies) > 0 {
		remove = append(remove, filepath.Join(dir, store.BackupsName))
	}
	if slices.ContainsFunc(copies, func(c store.Copy) bool { return c.Err == nil }) {
		way("puts a copy back", "restore", "-c", file, "COPY")
	}
	switch content, err := store.ReadCopy(path); {
	case err == nil:
		way("keeps the file that is there", "restore", "-c", file, path)
	case len(content.Entries) > 0:
		way("keeps the whole entries of the file that is there", "restore", "-c", file, "--partial", path)
	}
	last := len(remove) - 1
	return fmt.Sprintf("%sTo begin with an empty store instead, move %s and %s away", &ways, strings.Join(remove[:last], ", "), remove[last])
}

// stateOfStore is the state of the store in a folder.
func stateOfStore(dir string, damage error) (admin.StoreState, error) {
	path := filepath.Join(dir, store.FileName)
	content, err := store.ReadCopy(path)
	state := admin.StoreState{File: path, Revision: content.Revision, Entries: len(content.Entries), Copies: []admin.StoreCopy{}}
	if damage == nil {
		damage = err
	}
	if damage != nil {
		state.Damage = damage.Error()
	}
	copies, err := store.Copies(dir)
	for _, c := range copies {
		state.Copies = append(state.Copies, storeCopy(c))
	}
	return state, err
}

func storeCopy(c store.Copy) admin.StoreCopy {
	shown := admin.StoreCopy{File: c.Path, Taken: c.Taken, Reason: string(c.Reason), Revision: c.Revision, Entries: c.Entries}
	if c.Err != nil {
		shown.Damage = c.Err.Error()
	}
	return shown
}

// storeEntries shows entries to people. The key of the protocol log's hash is a secret.
func storeEntries(entries []store.Entry, prefix string) []admin.StoreEntry {
	shown := []admin.StoreEntry{}
	for _, e := range entries {
		if strings.HasPrefix(e.Key, prefix) {
			shown = append(shown, admin.StoreEntry{Key: e.Key, Revision: e.Revision, Value: shownValue(e.Key, e.Value)})
		}
	}
	return shown
}

func shownValue(key string, value []byte) string {
	switch {
	case value == nil:
		return "-"
	case key == storedKey:
		return "*****"
	case json.Valid(value) || utf8.Valid(value):
		return string(value)
	}
	return fmt.Sprintf("%x", value)
}

// storeControl is what the admin's API sees of the store.
type storeControl struct{ s *service }

var _ admin.Store = storeControl{}

// State implements admin.Store.
func (c storeControl) State(context.Context) (admin.StoreState, error) {
	return stateOfStore(c.s.started.DataDir, c.s.disk.Check())
}

// Entries implements admin.Store.
func (c storeControl) Entries(ctx context.Context, prefix string) ([]admin.StoreEntry, error) {
	entries, err := c.s.store.List(ctx, prefix)
	return storeEntries(entries, prefix), err
}

// Backup implements admin.Store.
func (c storeControl) Backup(context.Context) (admin.StoreCopy, error) {
	made, err := c.s.disk.Backup(time.Now(), store.ByHand)
	return storeCopy(made), err
}

// storeMetrics tell whether the store can be relied on.
type storeMetrics struct{ damaged, copied prometheus.Gauge }

func newStoreMetrics(reg prometheus.Registerer) *storeMetrics {
	m := &storeMetrics{
		damaged: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "portico_store_damaged", Help: "Whether the store's file is not what Portico wrote: 1 or 0.",
		}),
		copied: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "portico_store_last_backup_timestamp_seconds", Help: "When the daily copy of the store was last found or made.",
		}),
	}
	reg.MustRegister(m.damaged, m.copied)
	return m
}

// keepStore looks after the store's file and its daily copies until ctx ends.
func (s *service) keepStore(ctx context.Context, shown *storeMetrics) {
	tick := time.NewTicker(storeLook)
	defer tick.Stop()
	for {
		s.lookAtStore(time.Now(), shown)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *service) lookAtStore(now time.Time, shown *storeMetrics) {
	if err := s.disk.Check(); err != nil {
		shown.damaged.Set(1)
		s.log.Error().Err(err).Msg("the store on the disk is damaged; Portico still has it in memory: run portico store backup, and look at the disk")
	} else {
		shown.damaged.Set(0)
	}
	keep := int(s.backups.Load())
	if keep == 0 {
		return
	}
	made, err := s.disk.BackupDaily(now, keep)
	if err != nil {
		s.log.Error().Err(err).Msg("no daily copy of the store")
		return
	}
	shown.copied.Set(float64(now.Unix()))
	if made {
		s.log.Info().Msg("made the daily copy of the store")
	}
}
