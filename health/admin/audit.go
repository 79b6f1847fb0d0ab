package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"portico/backend/secret"
)

// auditKey is the key of a request's context for its *differences.
type auditKey struct{}

// differences collects what a request changes.
type differences struct {
	mu       sync.Mutex
	known    bool // somebody has called Changed
	old, new map[string]any
}

// Difference is one thing that a request has changed, or has left as it was: its value before and after. Nil is no
// value.
type Difference struct {
	What     string
	Old, New any
}

// Changed records what a request has changed, for its line in the log. Each handler that changes something calls it,
// with nothing if nothing had to be changed, unless it answers with a Change. It may be called several times.
func Changed(ctx context.Context, all ...Difference) {
	d, ok := ctx.Value(auditKey{}).(*differences)
	if !ok {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.known {
		d.known, d.old, d.new = true, make(map[string]any), make(map[string]any)
	}
	for _, one := range all {
		d.old[one.What], d.new[one.What] = one.Old, one.New
	}
}

// finish adds the values before and after, and what was answered.
func (d *differences) finish(event *zerolog.Event, answer []byte) *zerolog.Event {
	var change Change
	if err := json.Unmarshal(answer, &change); err == nil && change.What != "" {
		return event.Str("what", change.What).Str("old", change.Was).Str("new", change.Now)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known {
		event = event.Interface("old", plain(d.old)).Interface("new", plain(d.new))
		if len(answer) >= maxShownAnswer { // it has no more to say
			return event
		}
	}
	return shown(event, "answer", answer)
}

// Bounds of what a line in the log shows, in bytes.
const (
	maxShownBody   = 4 << 10
	maxShownAnswer = 1 << 10
	maxShownText   = 512 // of one value
)

// maxShownItems is how many items of a list a line in the log shows.
const maxShownItems = 16

// audited logs each request that may change something, whatever becomes of it: who sent it, from where, and the values
// before and after.
func audited(log zerolog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		changed := &differences{}
		asked, said := &head{most: maxShownBody}, &witness{ResponseWriter: w, head: head{most: maxShownAnswer},
			status: http.StatusOK}
		r = r.WithContext(context.WithValue(r.Context(), auditKey{}, changed))
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, asked), r.Body}
		defer func() { // also when the handler panics, to cut the answer
			by, _ := r.Context().Value(callerKey{}).(*caller)
			if by == nil {
				by = &caller{}
			}
			event := log.Warn().Str("who", by.who).Str("from", by.from).Str("request", r.Method+" "+r.URL.Path).
				Int("status", said.status)
			changed.finish(shown(event, "asked", asked.text), said.text).Msg("change requested")
		}()
		next.ServeHTTP(said, r)
	})
}

// refusedChange logs a change that its caller may not make: once a minute for each caller and address.
func (s *Server) refusedChange(r *http.Request, by *caller, status int) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr) // "" for the socket
	leftOut, due := s.refusals.Due(by.who+" "+host, time.Now())
	if !due {
		return
	}
	event := s.log.Warn().Str("who", by.who).Str("from", by.from).Str("request", r.Method+" "+r.URL.Path).
		Int("status", status)
	if leftOut > 0 {
		event = event.Int("left_out", leftOut)
	}
	event.Msg("change refused")
}

// shown adds a text of JSON to a line, without what may be secret in it.
func shown(event *zerolog.Event, name string, text []byte) *zerolog.Event {
	var value any
	switch err := json.Unmarshal(text, &value); {
	case len(bytes.TrimSpace(text)) == 0:
		return event
	case err != nil: // it is too long, or no JSON: nobody can tell what it shows
		return event.Str(name, "(not shown)")
	}
	return event.Interface(name, masked(value))
}

// plain returns a value as JSON has it, without what may be secret in it, and bounded.
func plain(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		return "(not shown)"
	}
	var decoded any
	if err := json.Unmarshal(text, &decoded); err != nil {
		return "(not shown)"
	}
	return bounded(masked(decoded))
}

// bounded cuts long lists and texts.
func bounded(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = bounded(inner)
		}
	case []any:
		if more := len(v) - maxShownItems; more > 0 {
			v = append(v[:maxShownItems], fmt.Sprintf("and %d more", more))
		}
		for i, inner := range v {
			v[i] = bounded(inner)
		}
		return v
	case string:
		if len(v) > maxShownText {
			return strings.ToValidUTF8(v[:maxShownText], "") + "..."
		}
	}
	return value
}

// masked hides the values of keys that name secrets, and a whole configuration.
func masked(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = masked(inner)
			for _, word := range []string{"password", "secret", "token", "credential", "candidate"} {
				if strings.Contains(strings.ToLower(key), word) {
					v[key] = secret.Mask
				}
			}
		}
	case []any:
		for i, inner := range v {
			v[i] = masked(inner)
		}
	}
	return value
}

// head keeps the beginning of what is written to it.
type head struct {
	most int
	text []byte
}

func (h *head) Write(p []byte) (int, error) {
	if room := h.most - len(h.text); room > 0 {
		h.text = append(h.text, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// witness passes an answer on, and remembers how it began.
type witness struct {
	http.ResponseWriter
	head
	status int
}

func (w *witness) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *witness) Write(p []byte) (int, error) {
	w.head.Write(p)
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }
