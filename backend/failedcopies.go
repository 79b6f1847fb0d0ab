package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"portico/configs/store"
)

// Failure is why a copy counts as Failed: its mail could not be read when users were moved away from it, or when it
// was last looked at. It stays so, over restarts, until ClearFailed.
type Failure struct {
	Database string    `json:"database"`
	Server   string    `json:"server"`
	Since    time.Time `json:"since"`
	Reason   string    `json:"reason"`
}

// ErrFailed says that a copy is Failed.
var ErrFailed = errors.New("the copy is Failed, and no probe has read a mailbox on it since")

// copyOf names a copy.
type copyOf struct{ database, server string }

// name is that of the copy's entry in the store.
func (c copyOf) name() string { return c.database + "/" + c.server }

// takeFailed takes in which copies are Failed.
func (m *ActiveManager) takeFailed() {
	now := make(map[copyOf]Failure)
	for name, f := range values(m.stored.failed) {
		f.Database, f.Server, _ = strings.Cut(name, "/")
		now[copyOf{f.Database, f.Server}] = f
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = now
}

// Fail says that a copy is Failed: rebalancing, failovers and sign-ins that look for another copy leave it alone. One
// that is Failed already stays as it is. newly says whether it is Failed since now; then that is stored.
func (m *ActiveManager) Fail(ctx context.Context, f Failure) (newly bool, err error) {
	newly, err = changeEntry(ctx, m.stored.failed, copyOf{f.Database, f.Server}.name(),
		func(now store.Item[Failure]) (Failure, change) {
			if now.Revision != 0 {
				return f, keepEntry
			}
			return f, putEntry
		})
	if err != nil {
		return false, fmt.Errorf("copy of %s on %s: store that it is Failed: %w", f.Database, f.Server, err)
	}
	return newly, nil
}

// ClearFailed says that a copy is no longer Failed: a mailbox on it was read, or somebody knows that it is well. was
// says whether it was Failed. Errors wrap ErrUnknownName or ErrNoCopy, or are the store's.
func (m *ActiveManager) ClearFailed(ctx context.Context, database, server string) (was bool, err error) {
	c := copyOf{database, server}
	m.mu.Lock()
	d := m.databases[database]
	_, was = m.failed[c]
	m.mu.Unlock()
	switch {
	case d == nil || !d.configured:
		return false, fmt.Errorf("database %s: %w", database, ErrUnknownName)
	case !was && !m.hasCopy(d, server):
		return false, fmt.Errorf("database %s, mailbox server %s: %w", database, server, ErrNoCopy)
	case !was:
		return false, nil
	}
	was, err = changeEntry(ctx, m.stored.failed, c.name(), func(store.Item[Failure]) (Failure, change) {
		return Failure{}, removeEntry
	})
	if err != nil {
		return true, fmt.Errorf("copy of %s on %s: resume: %w", database, server, err)
	}
	return was, nil
}

func (m *ActiveManager) hasCopy(d *database, server string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(d.copies, server)
}

// Failed returns why a copy is Failed, if it is.
func (m *ActiveManager) Failed(database, server string) (f Failure, failed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, failed = m.failed[copyOf{database, server}]
	return f, failed
}
