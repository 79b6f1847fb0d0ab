package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Failure is why a copy counts as Failed: its mail could not be read when users were moved away from it, or when it
// was last looked at. It stays so, over restarts, until Resume.
type Failure struct {
	Database string    `json:"database"`
	Server   string    `json:"server"`
	Since    time.Time `json:"since"`
	Reason   string    `json:"reason"`
}

// ErrFailed says that a copy is Failed.
var ErrFailed = errors.New("the copy is Failed, and no probe has read a mailbox on it since")

// failedKey and a database, a slash and a mailbox server is the key of a Failure, as JSON.
const failedKey = "failed/"

// copyOf names a copy.
type copyOf struct{ database, server string }

func (c copyOf) key() string { return failedKey + c.database + "/" + c.server }

// loadFailed reads which copies are Failed.
func (m *ActiveManager) loadFailed(ctx context.Context) error {
	var broken error
	err := each(ctx, m.store, failedKey, func(name, value string) {
		var f Failure
		if err := json.Unmarshal([]byte(value), &f); err != nil {
			broken = fmt.Errorf("read %s%s: %w", failedKey, name, err)
			return
		}
		m.failed[copyOf{f.Database, f.Server}] = f
	})
	return errors.Join(err, broken)
}

// Fail says that a copy is Failed: rebalancing, failovers and sign-ins that look for another copy leave it alone. One
// that is Failed already stays as it is. newly says whether it is Failed since now; then that is stored.
func (m *ActiveManager) Fail(ctx context.Context, f Failure) (newly bool, err error) {
	m.judging.Lock()
	defer m.judging.Unlock()
	c := copyOf{f.Database, f.Server}
	if _, already := m.Failed(c.database, c.server); already {
		return false, nil
	}
	text, err := json.Marshal(f)
	if err == nil {
		err = m.put(ctx, c.key(), string(text))
	}
	if err != nil {
		return false, fmt.Errorf("copy of %s on %s: store that it is Failed: %w", c.database, c.server, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed[c] = f
	return true, nil
}

// Resume says that a copy is no longer Failed: a mailbox on it was read, or somebody knows that it is well. was says
// whether it was Failed. Errors wrap ErrUnknownName or ErrNoCopy, or are the store's.
func (m *ActiveManager) Resume(ctx context.Context, database, server string) (was bool, err error) {
	m.judging.Lock()
	defer m.judging.Unlock()
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
	if err := m.remove(ctx, c.key()); err != nil {
		return true, fmt.Errorf("copy of %s on %s: resume: %w", database, server, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.failed, c)
	return true, nil
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
