package health

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"portico/configs/store"
)

// triesToStore is how often a change of the open alerts is decided again because another writer came first.
const triesToStore = 3

// openAlerts is what the store has of the open alerts. The escalator's mutex guards it.
type openAlerts struct {
	one      *store.One[[]Alert] // nil for none
	revision uint64              // of the entry that the escalator has read
}

// read returns the alerts as they are stored, and whether somebody else has changed them since the last call.
func (s *openAlerts) read(ctx context.Context) (item store.Item[[]Alert], changed bool, err error) {
	if s.one == nil {
		return item, false, nil
	}
	if item, err = s.one.Get(ctx); err != nil {
		return item, false, fmt.Errorf("read the open alerts: %w", err)
	}
	changed = item.Revision != s.revision
	s.revision = item.Revision
	return item, changed, nil
}

// follow takes in what other writers store until ctx ends.
func (e *Escalator) follow(ctx context.Context) {
	if e.opt.Stored == nil {
		return
	}
	changes, err := e.opt.Stored.Watch(ctx)
	if err != nil {
		e.opt.Failed(fmt.Errorf("follow the open alerts: %w", err))
		return
	}
	for range changes { // each says that something has changed, maybe by this process
		e.mu.Lock()
		e.refresh(ctx)
		e.mu.Unlock()
	}
}

// refresh takes in the alerts as they are stored. What cannot be read changes nothing. The caller holds mu.
func (e *Escalator) refresh(ctx context.Context) {
	item, changed, err := e.store.read(ctx)
	switch {
	case err == nil && changed && item.Err == nil:
		e.take(item.Value)
	case err == nil && changed:
		e.opt.Failed(fmt.Errorf("read the open alerts: %w", item.Err))
	case err != nil && ctx.Err() == nil:
		e.opt.Failed(err)
	}
}

// take replaces the open alerts by those of another writer, who has sent what is new about them. The caller holds mu.
func (e *Escalator) take(all []Alert) {
	e.open = make(map[string]*Alert)
	for _, a := range all {
		e.open[a.Cause] = &a
		if _, sent := e.sent[a.Cause]; !sent {
			e.sent[a.Cause] = e.opt.Now()
		}
	}
	e.forgetOthers()
}

// snapshot copies the open alerts. The caller holds mu.
func (e *Escalator) snapshot() map[string]*Alert {
	all := make(map[string]*Alert, len(e.open))
	for cause, a := range e.open {
		same := *a
		all[cause] = &same
	}
	return all
}

// forgetOthers forgets when alerts were sent that are no longer open. The caller holds mu.
func (e *Escalator) forgetOthers() {
	maps.DeleteFunc(e.sent, func(cause string, _ time.Time) bool { return e.open[cause] == nil })
}

// save stores the open alerts, which were before until they were judged. It returns false if another writer has changed
// them first: then they are as that writer has stored them, or as before if that cannot be read. If the store fails,
// they are in memory alone. The caller holds mu.
func (e *Escalator) save(ctx context.Context, before map[string]*Alert) bool {
	defer e.forgetOthers()
	if e.opt.Stored == nil {
		return true
	}
	all := make([]Alert, 0, len(e.open))
	for _, cause := range slices.Sorted(maps.Keys(e.open)) {
		all = append(all, *e.open[cause])
	}
	ctx = context.WithoutCancel(ctx) // the alerts are sent when the process ends, too
	item, err := e.opt.Stored.Put(ctx, store.Item[[]Alert]{Value: all, Revision: e.store.revision})
	if errors.Is(err, store.ErrConflict) {
		e.open = before
		e.refresh(ctx)
		return false
	}
	if err != nil {
		e.opt.Failed(fmt.Errorf("store the open alerts: %w", err))
		return true
	}
	e.store.revision = item.Revision
	return true
}
