package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"portico/backend/secret"
)

// auditKey is where a request's context has what Was notes: *before.
type auditKey struct{}

// before is what was there before a change.
type before struct {
	mu   sync.Mutex
	what map[string]any
}

// Was notes the value that something had before the change of a request, for the line in the log. Whoever makes the change calls it, unless
// the answer is a Change.
func Was(ctx context.Context, what string, value any) {
	b, ok := ctx.Value(auditKey{}).(*before)
	if !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.what == nil {
		b.what = make(map[string]any)
	}
	b.what[what] = value
}

// finish adds what was before, and what came of it.
func (b *before) finish(event *zerolog.Event, answer []byte) *zerolog.Event {
	var change Change
	if err := json.Unmarshal(answer, &change); err == nil && change.What != "" {
		return event.Str("what", change.What).Str("old", change.Was).Str("new", change.Now)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.what != nil {
		event = event.Interface("old", b.what)
	}
	return shown(event, "answer", answer)
}

// Bounds of what a line in the log shows, in bytes.
const (
	maxShownBody   = 4 << 10
	maxShownAnswer = 1 << 10
)

// audited logs each request that may change something, whatever becomes of it: who sent it, from where, and the values before and after.
func audited(log zerolog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		was := &before{}
		asked, said := &head{most: maxShownBody}, &witness{ResponseWriter: w, head: head{most: maxShownAnswer}, status: http.StatusOK}
		r = r.WithContext(context.WithValue(r.Context(), auditKey{}, was))
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, asked), r.Body}
		defer func() { // also when the handler panics, to cut the answer
			by, _ := r.Context().Value(callerKey{}).(*caller)
			if by == nil {
				by = &caller{}
			}
			event := log.Warn().Str("who", by.who).Str("from", by.from).Str("request", r.Method+" "+r.URL.Path).Int("status", said.status)
			was.finish(shown(event, "asked", asked.text), said.text).Msg("a change was asked for")
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
	event := s.log.Warn().Str("who", by.who).Str("from", by.from).Str("request", r.Method+" "+r.URL.Path).Int("status", status)
	if leftOut > 0 {
		event = event.Int("left_out", leftOut)
	}
	event.Msg("a change was refused")
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

// masked hides the values of keys that name secrets.
func masked(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = masked(inner)
			for _, word := range []string{"password", "secret", "token", "credential"} {
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
