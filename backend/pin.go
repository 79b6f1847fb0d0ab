package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"portico/configs/store"
)

// pinKey holds the names of the databases that routing by hash spreads users over, as a sorted JSON array. It is not
// followed: it guards the configuration of a node, and each start and reload reads it again.
const pinKey = "routing/hash/databases"

// PinMismatchError says that the configuration has other databases than those that users are spread over. With the new
// set, some users would find an empty mailbox, so an operator must decide.
type PinMismatchError struct {
	Pinned, Configured []string // sorted
}

// Error implements error.
func (e *PinMismatchError) Error() string {
	return fmt.Sprintf("users are spread over the databases %q, but the configuration has %q: some users would find "+
		"an empty mailbox; move their mail, then change the set with: portico database pin", e.Pinned, e.Configured)
}

// PinnedDatabases returns the databases that routing by hash spreads users over, sorted; none if no set is pinned yet.
func PinnedDatabases(ctx context.Context, s store.Store) ([]string, error) {
	names, _, err := readPin(ctx, s)
	return names, err
}

// PinDatabases makes names the set of databases for routing by hash, from the next start on. It moves no mail: users
// whose database changes find it empty unless their mail is moved too.
func PinDatabases(ctx context.Context, s store.Store, names []string) error {
	if len(names) == 0 {
		return errors.New("pin databases: no database is named")
	}
	_, revision, err := readPin(ctx, s)
	if err != nil {
		return err
	}
	_, err = writePin(ctx, s, revision, names)
	return err
}

// comparePin returns a *PinMismatchError if a set is pinned and it is another. none says that no set is pinned.
func comparePin(ctx context.Context, s store.Store, names []string) (none bool, err error) {
	pinned, _, err := readPin(ctx, s)
	if err != nil {
		return false, err
	}
	if names = sorted(names); pinned != nil && !slices.Equal(pinned, names) {
		return false, &PinMismatchError{Pinned: pinned, Configured: names}
	}
	return pinned == nil, nil
}

// pin pins the set of databases if none is pinned yet, and returns the entry's revision then, else 0. It is an error
// if another set is.
func pin(ctx context.Context, s store.Store, databases []DatabaseOptions) (revision uint64, err error) {
	names := make([]string, len(databases))
	for i, o := range databases {
		names[i] = o.Name
	}
	none, err := comparePin(ctx, s, names)
	if err != nil || !none {
		return 0, err
	}
	revision, err = writePin(ctx, s, 0, names)
	if errors.Is(err, store.ErrConflict) { // another node was first
		_, err = comparePin(ctx, s, names)
	}
	return revision, err
}

func readPin(ctx context.Context, s store.Store) (names []string, revision uint64, err error) {
	item, err := store.OneOf[[]string](s, pinKey).Get(ctx)
	if err = cmp.Or(err, item.Err); err != nil {
		return nil, 0, fmt.Errorf("read the pinned databases: %w", err)
	}
	if item.Revision == 0 {
		return nil, 0, nil
	}
	return sorted(item.Value), item.Revision, nil
}

func writePin(ctx context.Context, s store.Store, revision uint64, names []string) (written uint64, err error) {
	item, err := store.OneOf[[]string](s, pinKey).Put(ctx, store.Item[[]string]{Value: sorted(names),
		Revision: revision})
	if err != nil {
		return 0, fmt.Errorf("pin databases: %w", err)
	}
	return item.Revision, nil
}

// sorted returns the set of names in order.
func sorted(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }
