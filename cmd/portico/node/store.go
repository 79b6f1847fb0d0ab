package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portico/cmd/portico/datadir"
	"portico/configs/store"
	"portico/health/admin"
)

// storeLook is how often the store's file is read again, and a daily copy made where one is due.
const storeLook = 10 * time.Minute

// storeAPI is what the admin's API sees of the store.
type storeAPI struct{ s *service }

var _ admin.Store = storeAPI{}

// State implements admin.Store.
func (c storeAPI) State(context.Context) (admin.StoreState, error) {
	return datadir.State(c.s.config.started.DataDir, c.s.store.local.Check())
}

// Entries implements admin.Store.
func (c storeAPI) Entries(ctx context.Context, prefix string) ([]admin.StoreEntry, error) {
	entries, err := c.s.store.local.List(ctx, prefix)
	return datadir.Entries(entries, prefix), err
}

// Backup implements admin.Store.
func (c storeAPI) Backup(context.Context) (admin.StoreCopy, error) {
	made, err := c.s.store.local.Backup(time.Now(), store.ByHand)
	return datadir.CopyRow(made), err
}

// storeMetrics show whether the store is intact and can be written.
type storeMetrics struct {
	damaged, broken, copied prometheus.Gauge

	mu   sync.Mutex
	last error // what was wrong when it was tried last
}

func newStoreMetrics(reg prometheus.Registerer) *storeMetrics {
	m := &storeMetrics{
		damaged: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "portico_store_damaged", Help: "Whether the store's file differs from what Portico wrote: 1 or 0.",
		}),
		broken: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "portico_store_failing", Help: "Whether the store's file cannot be written or read: 1 or 0.",
		}),
		copied: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "portico_store_last_backup_timestamp_seconds",
			Help: "When the latest daily copy of the store was found or made.",
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

// nodeStore is what a Portico keeps on disk: the entries that its parts follow, and the file they are in. It is safe
// for concurrent use.
type nodeStore struct {
	stored
	local *store.File // what is this node's alone
	site  store.Store // what all nodes of the site share; with one node, the same as local
	etcd  *membership // the way to site; nil with one node
	state *storeMetrics
	log   *nodeLog
}

// try says why the store cannot be written, or differs from what Portico wrote, or nil.
func (s *nodeStore) try() error { return s.state.found(s.local.TryWrite(), s.local.Check()) }

// usable says why changes cannot be stored, or nil.
func (s *nodeStore) usable() error {
	if err := s.try(); err != nil {
		return err
	}
	return s.etcd.follows()
}

// keep looks after the store's file and its daily copies until ctx ends.
func (s *nodeStore) keep(ctx context.Context, config *configuration) {
	tick := time.NewTicker(storeLook)
	defer tick.Stop()
	for {
		s.look(time.Now(), config.current().config.Store.Backups)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look tries the store, and makes the daily copy if it is due. backups is how many daily copies to keep, 0 for none.
func (s *nodeStore) look(now time.Time, backups int) {
	if err := s.try(); err != nil {
		s.log.Error().Err(err).
			Msg("store on disk failing, Portico still has it in memory: run portico store backup, and check the disk")
	}
	if backups == 0 {
		return
	}
	made, err := s.local.BackupDaily(now, backups)
	if err != nil {
		s.log.Error().Err(err).Msg("cannot make the daily copy of the store")
		return
	}
	s.state.copied.Set(float64(now.Unix()))
	if made {
		s.log.Info().Msg("daily copy of the store made")
	}
}

// saved returns the value of an entry, nil if there is none that can be read, and a function that replaces it. Only one
// goroutine at a time may call save. what is the log line for a value that cannot be read, which is forgotten.
func (s *nodeStore) saved(what string, one store.One[json.RawMessage]) (value []byte, save func([]byte) error,
	err error) {
	ctx := context.Background()
	item, err := one.Get(ctx)
	if err != nil {
		return nil, nil, err
	}
	if item.Err != nil {
		s.log.report(what, item.Err)
	}
	return item.Value, func(text []byte) error {
		changed := item
		changed.Value = text
		changed, err := one.Put(ctx, changed)
		if err == nil { // else the value before is still stored
			item = changed
		}
		return err
	}, nil
}
