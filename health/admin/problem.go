package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

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
	KindStale       Kind = "stale"       // If-Match names a state that is no more
	KindUnavailable Kind = "unavailable" // it is not possible now: ask again later
	KindUnreachable Kind = "unreachable" // another node does not answer
	KindUnsupported Kind = "unsupported" // the API of this version does not have the request
	KindFailed      Kind = "failed"      // Portico could not do its work: the log has more

	KindUnauthenticated Kind = "unauthenticated" // it needs a token, a certificate or the admin socket
	KindForbidden       Kind = "forbidden"       // whoever asks may not do that
	KindMisdirected     Kind = "misdirected"     // it names a host that is not ours
)

// kindRow is what follows from a kind.
type kindRow struct {
	status int
	title  string
	advice string // what to do
}

// rowsOfKinds has all kinds.
var rowsOfKinds = map[Kind]kindRow{
	KindInvalid: {http.StatusBadRequest, "The request is not valid",
		"Correct the request: /api/openapi.json describes it."},
	KindUnknown: {http.StatusNotFound, "Nothing has that name", "List what there is, and use one of these names."},
	KindRefused: {http.StatusConflict, "Not possible as things are",
		"Change what the sentence names, and send the request again."},
	KindConflict: {http.StatusConflict, "Somebody else has changed the same",
		"Read it again, and decide again."},
	KindStale: {http.StatusPreconditionFailed, "It has changed since it was read",
		"Read it again, and decide again."},
	KindUnavailable: {http.StatusServiceUnavailable, "Not possible now", "Send the request again later."},
	KindUnreachable: {http.StatusBadGateway, "Another node does not answer",
		"Ask that node itself, or look whether it runs."},
	KindUnsupported: {http.StatusNotFound, "The API does not have the request",
		"/api/ lists the requests of this version."},
	KindFailed: {http.StatusInternalServerError, "Portico could not do its work", "Look into Portico's log."},
	KindUnauthenticated: {http.StatusUnauthorized, "Portico does not know who asks",
		"Send a token, show a client certificate, or use the admin socket."},
	KindForbidden: {http.StatusForbidden, "Not allowed for whoever asks",
		"Ask as somebody who may do that."},
	KindMisdirected: {http.StatusMisdirectedRequest, "The host name is not allowed",
		"Add the host name to admin.allowed_hosts."},
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
	{protolog.ErrFilter, KindInvalid},
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

// Problem is the body of every answer that is an error: a problem of RFC 9457, with its kind.
type Problem struct {
	Title  string `json:"title"`  // the kind in words
	Status int    `json:"status"` // of the answer
	Detail string `json:"detail"` // what is wrong, in one sentence
	// Kind is what kind of error this is, for programs.
	Kind   Kind   `json:"kind" enum:"invalid,unknown,refused,conflict,unavailable,unreachable,failed,unauthenticated,forbidden,misdirected,stale,unsupported"`
	Advice string `json:"advice,omitempty"` // what to do
	// Error says the same as Detail: that was its name before problems had this form.
	Error string `json:"error" deprecated:"true"`
}

// problemType is the media type of a Problem.
const problemType = "application/problem+json"

// problem is a Problem as an error that huma sends as it is.
type problem struct{ Problem }

func (p *problem) Error() string             { return p.Detail }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) ContentType(string) string { return problemType }

// problemOf returns the problem that an error is.
func problemOf(err error) *problem { return newProblem(KindOf(err), err.Error()) }

func newProblem(kind Kind, detail string) *problem {
	row := rowsOfKinds[kind]
	return &problem{Problem{Title: row.title, Status: row.status, Detail: detail, Kind: kind, Advice: row.advice,
		Error: detail}}
}

// asProblem gives the errors of huma, which are about requests that it cannot read, the form of ours.
func asProblem(of huma.Context, _ string, value any) (any, error) {
	model, ok := value.(*huma.ErrorModel)
	if !ok {
		return value, nil
	}
	kind := KindInvalid
	if model.Status >= http.StatusInternalServerError {
		kind = KindFailed
	}
	said := []string{}
	for _, e := range model.Errors {
		text := e.Message
		if e.Location != "" {
			text = e.Location + ": " + text
		}
		said = append(said, text)
	}
	if len(said) == 0 {
		said = append(said, model.Detail)
	}
	p := newProblem(kind, "read the request: "+strings.Join(said, "; "))
	p.Status = model.Status
	return p.Problem, nil
}

// fail sends an error.
func fail(w http.ResponseWriter, err error) { problemOf(err).send(w) }

func (p *problem) send(w http.ResponseWriter) {
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p.Problem)
}
