package backend

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"portico/backend/move"
	"portico/configs/store"
)

// Keys of the store. The manager follows all of them; see Run.
const (
	activeKey    = "active/"  // and a database: the mailbox server with its active copy; see move.Record
	movingKey    = "moving/"  // of earlier versions; see joinMoving
	blockedKey   = "blocked/" // and a mailbox server that no database may be activated on: who has asked for that
	policyKey    = "policy/"  // and a mailbox server: its policy
	movedUserKey = "placed/"  // and a user: the database that the user was moved to; see move.Record
	canaryKey    = "canary/"  // and a database: the Canary of its users; see move.Record
	failedKey    = "failed/"  // and a database, a slash and a mailbox server: a Failure, as JSON
)

// storedState is what the store has of a site's copies, whoever has stored it.
type storedState struct {
	blocked *store.Mirror[[]Blocker]
	policy  *store.Mirror[Policy]
	failed  *store.Mirror[Failure]
}

// openStored reads the store. failed is told which entries cannot be read, now and later.
func (m *ActiveManager) openStored(ctx context.Context, s store.Store, failed func(error)) error {
	of := &m.stored
	return cmp.Or(
		openMirror(ctx, &of.blocked, store.TextSetOf(s, blockedKey, blockersText, parseBlockers), m.takeBlocked,
			failed),
		openMirror(ctx, &of.policy, store.TextSetOf(s, policyKey, func(p Policy) string { return string(p) },
			parsePolicy), m.takePolicies, failed),
		openMirror(ctx, &of.failed, store.TextSetOf(s, failedKey, failureText, parseFailure), m.takeFailed, failed),
	)
}

// joinMoving makes one record of the two entries that earlier versions had for a database whose move had failed: the
// active copy, and the servers that it was between.
func joinMoving(ctx context.Context, s store.Store) error {
	moving, err := texts(s, movingKey).List(ctx)
	if err != nil {
		return fmt.Errorf("read the moves that have failed: %w", err)
	}
	for _, old := range moving {
		between := strings.Fields(old.Value)
		item, err := move.Records(s, activeKey).Get(ctx, old.Name)
		if err == nil && item.Value.Phase != move.Suspended && len(between) > 0 {
			item.Value = move.Record{Phase: move.Suspended, At: cmp.Or(item.Value.At, between[0]), Between: between}
			_, err = move.Records(s, activeKey).Put(ctx, item)
		}
		if err == nil {
			err = s.Delete(ctx, movingKey+old.Name, old.Revision)
		}
		if err != nil {
			return fmt.Errorf("database %s: store that it is suspended: %w", old.Name, err)
		}
	}
	return nil
}

// openMirror reads a set, and has changed called after that and after each change.
func openMirror[T any](ctx context.Context, into **store.Mirror[T], set store.Set[T], changed func(),
	failed func(error)) (err error) {
	*into, err = store.NewMirror(ctx, set, store.MirrorOptions{Changed: changed, Failed: failed})
	if err != nil {
		return fmt.Errorf("read the state of databases and mailbox servers: %w", err)
	}
	changed()
	return nil
}

// texts are entries that are texts, not JSON.
func texts(s store.Store, prefix string) store.Set[string] {
	return store.TextSetOf(s, prefix, func(text string) string { return text },
		func(text string) (string, error) { return text, nil })
}

// values are the values of entries by name.
func values[T any](of *store.Mirror[T]) map[string]T {
	all := make(map[string]T)
	for _, item := range of.All() {
		all[item.Name] = item.Value
	}
	return all
}

// change is what becomes of an entry.
type change int

const (
	keepEntry change = iota
	putEntry
	removeEntry
)

// changeEntry decides by an entry as the store has it what becomes of it. If another writer changes the entry before
// that is stored, decide is called again. It says whether this call has changed the entry.
func changeEntry[T any](ctx context.Context, of *store.Mirror[T], name string,
	decide func(now store.Item[T]) (T, change)) (changed bool, err error) {
	for {
		item, err := of.Get(ctx, name)
		if err != nil {
			return false, err
		}
		value, what := decide(item)
		switch {
		case what == putEntry:
			item.Value = value
			_, err = of.Put(ctx, item)
		case what == removeEntry && item.Revision != 0:
			err = of.Remove(ctx, item)
		default:
			return false, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return err == nil, err
		}
	}
}

// failureText is a Failure in the store.
func failureText(f Failure) string {
	text, _ := json.Marshal(f) // strings and a time
	return string(text)
}

// parseFailure reads what failureText has written. A copy whose entry cannot be read is Failed.
func parseFailure(text string) (f Failure, _ error) {
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		f = Failure{Reason: "its entry in the store cannot be read: " + err.Error()}
	}
	return f, nil
}
