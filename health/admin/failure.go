package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"

	"portico/backend"
	"portico/configs/store"
	"portico/health"
	"portico/health/recovery"
	"portico/protolog"
)

// Kind says what kind of failure an answer tells, for programs. The sentence beside it is for people.
type Kind string

// The kinds.
const (
	KindInvalid     Kind = "invalid"     // the request cannot be read, or a value in it is not allowed
	KindUnknown     Kind = "unknown"     // nothing has a name in the request
	KindRefused     Kind = "refused"     // it is not possible as things are
	KindConflict    Kind = "conflict"    // somebody else has changed the same: look again
	KindUnavailable Kind = "unavailable" // it is not possible now: ask again later
	KindUnreachable Kind = "unreachable" // another node does not answer
	KindFailed      Kind = "failed"      // Portico could not do its work: the log has more
)

// statuses has each kind's status.
var statuses = map[Kind]int{
	KindInvalid:     http.StatusBadRequest,
	KindUnknown:     http.StatusNotFound,
	KindRefused:     http.StatusConflict,
	KindConflict:    http.StatusConflict,
	KindUnavailable: http.StatusServiceUnavailable,
	KindUnreachable: http.StatusBadGateway,
	KindFailed:      http.StatusInternalServerError,
}

// kinds has the kinds of other packages' errors.
var kinds = []struct {
	err  error
	kind Kind
}{
	{backend.ErrUnknownName, KindUnknown},
	{health.ErrUnknown, KindUnknown},
	{recovery.ErrUnknown, KindUnknown},
	{backend.ErrUserName, KindInvalid},
	{store.ErrConflict, KindConflict},
	{store.ErrClosed, KindUnavailable},
	{protolog.ErrTooMany, KindUnavailable},
	{protolog.ErrClosed, KindUnavailable},
	{context.DeadlineExceeded, KindUnavailable},
	{context.Canceled, KindUnavailable},
}

// KindOf returns an error's kind: the one that Of gave it, else what it wraps says. All else is refused.
func KindOf(err error) Kind {
	var given *ofKind
	if errors.As(err, &given) {
		return given.kind
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	var file *fs.PathError
	if errors.As(err, &file) {
		return KindFailed
	}
	return KindRefused
}

// Of returns err with a kind. It says what err says, and wraps it.
func Of(kind Kind, err error) error { return &ofKind{err, kind} }

// Unknown is Of for a name that nothing has.
func Unknown(err error) error { return Of(KindUnknown, err) }

type ofKind struct {
	error
	kind Kind
}

func (e *ofKind) Unwrap() error { return e.error }

// Failure is the body of every answer that is an error.
type Failure struct {
	Error string `json:"error"`
	Kind  Kind   `json:"kind,omitempty"` // "" is of a Portico that says none
}

// fail sends an error.
func fail(w http.ResponseWriter, err error) {
	kind := KindOf(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(statuses[kind])
	json.NewEncoder(w).Encode(Failure{err.Error(), kind})
}
