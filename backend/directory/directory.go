// Package directory answers who a user is, where the mailbox lies (in which database, or on which mailbox server),
// and, where the proxy has to know it itself, whether a password is right.
//
// A Source is one place to ask for the way, a Verifier one to ask about passwords; package backend routes by what they
// say. Those whose client library is large stand in packages of their own beneath this one. The package knows nothing
// of clients' connections, of sign-in, of mailbox servers' addresses and of the configuration file; it opens only the
// connections to the directories themselves, and logs nothing.
package directory

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/text/unicode/norm"

	"portico/backend/secret"
)

// Query is who asks to be let in. Most directories look at User alone.
type Query struct {
	User      string         // canonical name of the mailbox's user
	Login     string         // canonical name of who signs in: User, or one who acts for User
	Password  secret.Value   // what the client gave; "" where the mechanism shows none
	Mechanism string         // SASL mechanism in upper case; "" is the LOGIN command
	Client    netip.AddrPort // the zero value where there is none, as in a question by the operator
	Local     netip.AddrPort // where the client connected to
	TLS       bool           // the client's connection has TLS
	SessionID string
	Attempt   int // of this connection, from 1
	// Certificate says that Login is what a certificate says that was verified; there is no password then.
	Certificate bool
}

// Wait calls f once, which may block, and returns when f has; others may compute meanwhile. f must use the context
// that it gets. Questions to directories go through a Wait, and answers that are at hand do not.
type Wait func(ctx context.Context, f func(ctx context.Context))

// Source is one directory. Its methods are called by many sign-ins at once.
type Source interface {
	// Lookup finds q.User. It returns ErrNotFound for one it does not know, a *RefusedError for one that must not sign
	// in, and an error that wraps ErrUnavailable when it cannot tell: a time-out, a directory that is down, an answer
	// that it cannot use. It never guesses.
	Lookup(ctx context.Context, q Query) (Entry, error)
}

// Verifier knows passwords. Its methods are called by many sign-ins at once.
type Verifier interface {
	// Verify returns the name that q.Password belongs to: q.Login, or what the verifier calls that user, which need
	// not be canonical. The error is ErrBadCredential for a wrong or empty password; ErrNotFound for a user it does
	// not know; a *RefusedError for one that must not sign in whatever the password; and an error that wraps
	// ErrUnavailable when it cannot tell.
	Verify(ctx context.Context, q Query) (user string, err error)
}

// Entry is what a directory knows of a user. At least one of Database, Server and Address is given when it comes from
// a whole directory.
type Entry struct {
	User     string // the canonical name to go by from here on; "" leaves it as it was asked for
	Database string // name of a database
	Server   string // name of a mailbox server, for a user who is in no database; "" with Database
	Address  string // host:port of a mailbox server, from directories that know no names; "" with Database or Server

	Mode           Mode
	MaxConnections int // of this user at once; 0 leaves it to the setting
}

// Mode is how the proxy signs in to the mailbox server for a user.
type Mode uint8

// The modes.
const (
	ModeDefault     Mode = iota // as the configuration says for all
	ModePassthrough             // with what the client gave
	ModeMaster                  // the proxy verifies the password and signs in with a credential of its own
)

// ErrNotFound says that the directory is well and does not have the user.
var ErrNotFound = errors.New("directory: no such user")

// ErrBadCredential says that the password is not the user's.
var ErrBadCredential = errors.New("directory: wrong password")

// ErrUnavailable says that the directory could not be asked, or that its answer cannot be used: nothing is known of
// the user.
var ErrUnavailable = errors.New("directory: unavailable")

// ErrOtherName says that the directory has found an entry that is another user's, and that does not say whose. It
// wraps ErrNotFound.
var ErrOtherName = fmt.Errorf("%w: the entry belongs to another name and does not say to which", ErrNotFound)

// OtherName makes an error that wraps ErrOtherName; source says which directory has found it, and reason why it may
// have.
func OtherName(source, reason string) error {
	return fmt.Errorf("%w: %s: %s is the likely reason; let it return the name as user", ErrOtherName, source, reason)
}

// SameName says whether two names have the same canonical form. Directories may hold names in any case, and
// decomposed.
func SameName(a, b string) bool { return fold(a) == fold(b) }

// fold ignores case and composition, and nothing else.
func fold(name string) string { return norm.NFC.String(strings.ToLower(norm.NFC.String(name))) }

// RefusedError says that the user is known and must not sign in.
type RefusedError struct {
	Reason string // for the log; printable, bounded
}

// maxReason bounds a reason, in bytes.
const maxReason = 200

// RefusedIf is Refused for a value that may say that there is no reason: an empty one, and a truth value that says no,
// give nil.
func RefusedIf(value string) error {
	switch strings.ToLower(value) {
	case "", "0", "f", "false", "no":
		return nil
	}
	return Refused(value)
}

// Refused makes a *RefusedError of a reason that a directory gives, whatever that holds.
func Refused(reason string) error {
	reason = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, reason)
	return &RefusedError{Reason: reason[:min(len(reason), maxReason)]}
}

// Error implements error.
func (e *RefusedError) Error() string { return "directory: refused: " + e.Reason }

// Unavailable makes an error that wraps ErrUnavailable and its cause; source says which directory could not tell. The
// cause must hold no secret.
func Unavailable(source string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, source, err)
}
