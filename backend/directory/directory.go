// Package directory answers who a user is and where the mailbox lies: in which database, or on which mailbox server.
//
// A Source is one place to ask; package backend routes by what it says. Sources whose client library is large stand in packages
// of their own beneath this one. The package knows nothing of clients, of sign-in, of mailbox servers' addresses and of the
// configuration file; it opens only the connections to the directories themselves, and logs nothing.
package directory

import (
	"context"
	"errors"
	"fmt"
)

// Source is one directory. Its methods are called by many sign-ins at once.
type Source interface {
	// Lookup finds a user, given by the canonical name. It returns ErrNotFound for one it does not know, a *RefusedError for one
	// that must not sign in, and an error that wraps ErrUnavailable when it cannot tell: a time-out, a directory that is down,
	// an answer that makes no sense. It never guesses.
	Lookup(ctx context.Context, user string) (Entry, error)
}

// Entry is what a directory knows of a user. At least one of Database and Server is given when it comes from a whole directory.
type Entry struct {
	User     string // the canonical name to go by from here on; "" leaves it as it was asked for
	Database string // name of a database
	Server   string // name of a mailbox server, for a user who is in no database; "" with Database
}

// ErrNotFound says that the directory is well and does not have the user.
var ErrNotFound = errors.New("directory: no such user")

// ErrUnavailable says that the directory could not be asked, or that its answer makes no sense: nothing is known of the user.
var ErrUnavailable = errors.New("directory: unavailable")

// RefusedError says that the user is known and must not sign in.
type RefusedError struct {
	Reason string // for the log; printable, bounded
}

// Error implements error.
func (e *RefusedError) Error() string { return "directory: refused: " + e.Reason }

// Unavailable makes an error that wraps ErrUnavailable and its cause; source says which directory could not tell. The cause must
// hold no secret.
func Unavailable(source string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, source, err)
}
