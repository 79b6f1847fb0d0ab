package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"portico/configs/store"
)

// pinKey holds the names of the databases that routing by hash spreads users over, as a sorted JSON array.
const pinKey = "routing/hash/databases"

// PinMismatchError says that the configuration has other databases than those users are spread over. Routing over the new set
// would show some users an empty mailbox, so that takes a decision.
type PinMismatchError struct {
	Pinned, Configured []string // sorted
}

// Error implements error.
func (e *PinMismatchError) Error() string {
	return fmt.Sprintf("users are spread over the databases %q, but the configuration has %q: some would find an empty mailbox; "+
		"once their mail is moved, change the set with: portico database pin", e.Pinned, e.Configured)
}

// PinnedDatabases returns the databases that routing by hash spreads users over, sorted; none if no set is pinned yet.
func PinnedDatabases(ctx context.Context, s store.Store) ([]string, error) {
	names, _, err := readPin(ctx, s)
	return names, err
}

// PinDatabases makes names the set that routing by hash spreads users over from the next start on. Mail stays where it is: users
// whose database changes by that find it empty unless their mail is moved too.
func PinDatabases(ctx context.Context, s store.Store, names []string) error {
	if len(names) == 0 {
		return errors.New("pin databases: none is named")
	}
	_, revision, err := readPin(ctx, s)
	if err != nil {
		return err
	}
	return writePin(ctx, s, revision, names)
}

// checkPin pins names if nothing is pinned yet, and else compares.
func checkPin(ctx context.Context, s store.Store, names []string) error {
	pinned, _, err := readPin(ctx, s)
	if err != nil {
		return err
	}
	if pinned == nil {
		err := writePin(ctx, s, 0, names)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if pinned, _, err = readPin(ctx, s); err != nil { // another node was first
			return err
		}
	}
	if names = sorted(names); !slices.Equal(pinned, names) {
		return &PinMismatchError{Pinned: pinned, Configured: names}
	}
	return nil
}

func readPin(ctx context.Context, s store.Store) (names []string, revision uint64, err error) {
	entry, err := s.Get(ctx, pinKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the pinned databases: %w", err)
	}
	if err := json.Unmarshal(entry.Value, &names); err != nil {
		return nil, 0, fmt.Errorf("read the pinned databases: %w", err)
	}
	return sorted(names), entry.Revision, nil
}

func writePin(ctx context.Context, s store.Store, revision uint64, names []string) error {
	value, err := json.Marshal(sorted(names))
	if err == nil {
		_, err = s.CompareAndSet(ctx, pinKey, revision, value)
	}
	if err != nil {
		return fmt.Errorf("pin databases: %w", err)
	}
	return nil
}

// sorted returns the set of names in order.
func sorted(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }
