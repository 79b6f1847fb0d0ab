package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
)

// Chain asks sources in order. The first that knows where the user's mailbox is wins; one that only has another name
// for the user, or a setting, passes that on to the next. One that cannot tell ends the search: what the next would
// say might be wrong then.
type Chain struct {
	Sources   []Source
	Canonical func(name string) (string, error) // the one form of a name that a source gives
}

// Lookup implements Source. An entry without a place says that some source knows the user, and none the place.
func (c *Chain) Lookup(ctx context.Context, q Query) (Entry, error) {
	found, known := Entry{User: q.User}, false
	unknown := ErrNotFound
	for _, source := range c.Sources {
		e, err := source.Lookup(ctx, q)
		if errors.Is(err, ErrOtherName) {
			unknown = err
		}
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return Entry{}, err
		}
		known = true
		if e.User != "" {
			if q.User, err = c.Canonical(e.User); err != nil {
				return Entry{}, Unavailable("directory", fmt.Errorf("impossible user name: %w", err))
			}
			found.User = q.User
		}
		found.Mode = cmp.Or(e.Mode, found.Mode)
		found.MaxConnections = cmp.Or(e.MaxConnections, found.MaxConnections)
		found.Database, found.Server, found.Address = e.Database, e.Server, e.Address
		if e.hasMailbox() {
			return found, nil
		}
	}
	if !known {
		return Entry{}, unknown
	}
	return found, nil
}

// hasMailbox says whether the entry names a database, a server or an address.
func (e Entry) hasMailbox() bool { return e.Database != "" || e.Server != "" || e.Address != "" }
