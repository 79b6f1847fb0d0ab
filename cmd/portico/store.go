package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	return fmt.Errorf("data_dir %s: %w\nNothing was changed. To go on:\n%s", config.DataDir, err,
		waysOn(config.DataDir, file))
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
	remove = slices.DeleteFunc(remove,
		func(path string) bool { _, err := os.Stat(path); return errors.Is(err, fs.ErrNotExist) })
	return fmt.Sprintf("%sTo begin with an empty store instead, move away: %s", &ways, strings.Join(remove, ", "))
}

// stateOfStore is the state of the store in a folder.
func stateOfStore(dir string, damage error) (admin.StoreState, error) {
	path := filepath.Join(dir, store.FileName)
	content, err := store.ReadCopy(path)
	state := admin.StoreState{File: path, Revision: content.Revision, Entries: len(content.Entries),
		Copies: []admin.StoreCopy{}}
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
	shown := admin.StoreCopy{File: c.Path, Taken: c.Taken, Reason: string(c.Reason), Revision: c.Revision,
		Entries: c.Entries}
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
			shown = append(shown, admin.StoreEntry{Key: e.Key, Revision: e.Revision,
				Value: shownValue(e.Key, e.Value)})
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
type storeMetrics struct {
	damaged, broken, copied prometheus.Gauge

	mu   sync.Mutex
	last error // what was wrong when it was tried last
}

func newStoreMetrics(reg prometheus.Registerer) *storeMetrics {
	m := &storeMetrics{
		damaged: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "portico_store_damaged", Help: "Whether the store's file is not what Portico wrote: 1 or 0.",
		}),
		broken: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "portico_store_failing", Help: "Whether the store's file cannot be written or read: 1 or 0.",
		}),
		copied: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "portico_store_last_backup_timestamp_seconds",
			Help: "When the daily copy of the store was last found or made.",
		}),
	}
	reg.MustRegister(m.damaged, m.broken, m.copied)
	return m
}

// failing returns what was wrong with the store when it was tried last, for the line of /readyz.
func (m *storeMetrics) failing() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil {
		return nil
	}
	return errors.New(strings.TrimPrefix(m.last.Error(), "store: "))
}

// found notes what is wrong with the store: errors of writing and of reading, which may be *store.Damage.
func (m *storeMetrics) found(written, read error) error {
	var damage *store.Damage
	damaged := errors.As(read, &damage)
	m.damaged.Set(oneIf(damaged))
	m.broken.Set(oneIf(written != nil || read != nil && !damaged))
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case written == nil:
		m.last = read
	case damaged:
		m.last = fmt.Errorf("%w; %w", written, read)
	default: // one cause
		m.last = written
	}
	return m.last
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// tryStore tells whether the store can be written, and is what Portico wrote.
func (s *service) tryStore() error {
	return s.stored.found(s.disk.TryWrite(), s.disk.Check())
}

// keepStore looks after the store's file and its daily copies until ctx ends.
func (s *service) keepStore(ctx context.Context) {
	tick := time.NewTicker(storeLook)
	defer tick.Stop()
	for {
		s.lookAtStore(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *service) lookAtStore(now time.Time) {
	if err := s.tryStore(); err != nil {
		s.log.Error().Err(err).
			Msg("the store on the disk fails; Portico still has it in memory: run portico store backup, and look " +
				"at the disk")
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
	s.stored.copied.Set(float64(now.Unix()))
	if made {
		s.log.Info().Msg("made the daily copy of the store")
	}
}
