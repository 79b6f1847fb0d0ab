package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"portico/protolog"
)

// The paths of the protocol log.
const (
	PathLog        = prefix + "log"
	PathLogOn      = PathLog + "/on"
	PathLogOff     = PathLog + "/off"
	PathLogStream  = PathLog + "/stream" // rows as they come
	PathLogRows    = PathLog + "/rows"
	PathLogSession = PathLog + "/sessions/{id}"
)

// Log is the protocol log as the API shows it and changes what it asks for. Its methods may be called from
// anywhere.
type Log interface {
	Status() protolog.Status
	// On begins a rule that ends by itself after d, or if that is 0 never. A rule with the same filter gets that end
	// instead; was is that rule before, nil if there was none.
	On(ctx context.Context, f protolog.Filter, d time.Duration) (was *protolog.Rule, now protolog.Rule, err error)
	// Off ends a rule, or all if id is "", and returns those that it has ended. A rule that has ended before is no
	// error.
	Off(ctx context.Context, id string) ([]protolog.Rule, error)
	Tail(f protolog.Filter, format protolog.Format) (*protolog.Tail, error)
	Find(ctx context.Context, q protolog.Search, format protolog.Format, yield func(row []byte) error) error
}

// LogStatus is the state of the protocol log.
type LogStatus struct {
	Node     string     `json:"node,omitempty"` // whose log it is, where several nodes are asked
	Rules    []LogRule  `json:"rules"`
	Watchers int        `json:"watchers"`                // who watch rows as they come
	Pending  bool       `json:"pending"`                 // a change is not in effect yet in all sessions
	Rows     uint64     `json:"rows"`                    // written to files since the start
	Dropped  uint64     `json:"dropped"`                 // not written, or not shown to somebody who watched
	File     string     `json:"file,omitempty"`          // that is written to now
	Failing  string     `json:"failing,omitempty"`       // why nothing can be written
	Since    *time.Time `json:"failing_since,omitempty"` // and since when
}

// LogRule asks for rows of the protocol log: of all that fit everything that is given.
type LogRule struct {
	Node string `json:"node,omitempty"` // whose rule it is, where the rules of several nodes are listed
	ID   string `json:"id"`
	LogFilter
	Since time.Time  `json:"since"`
	Until *time.Time `json:"until,omitempty"` // missing: without end
}

// LogFilter says which.
type LogFilter struct {
	User    string  `json:"user,omitempty" query:"user"` // * is any characters, ? is one
	IP      string  `json:"ip,omitempty" query:"ip"`     // an address or a network
	Server  string  `json:"server,omitempty" query:"server"`
	Session string  `json:"session,omitempty" query:"session"`
	Command string  `json:"command,omitempty" query:"command"`
	Slower  float64 `json:"slower,omitempty" query:"slower"` // seconds of server time, at least
}

// filter is the log's own form.
func (f LogFilter) filter() protolog.Filter {
	return protolog.Filter{User: f.User, IP: f.IP, Server: f.Server, Session: f.Session, Command: f.Command,
		Slower: inSeconds(f.Slower)}
}

// inSeconds returns seconds as a duration: the longest one for more than that, and 0 for no number.
func inSeconds(s float64) time.Duration {
	const longest = float64(math.MaxInt64 / time.Second)
	if s != s {
		return 0
	}
	return time.Duration(max(-longest, min(s, longest)) * float64(time.Second))
}

// Query is the filter as the API's URLs have it.
func (f LogFilter) Query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"user": f.User, "ip": f.IP, "server": f.Server, "session": f.Session,
		"command": f.Command} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Slower != 0 {
		q.Set("slower", strconv.FormatFloat(f.Slower, 'f', -1, 64))
	}
	return q
}

// RowFormat is the form of rows.
type RowFormat struct {
	Format string `query:"format" enum:"csv,json" default:"csv"`
}

func (f RowFormat) format() protolog.Format {
	if f.Format == "json" {
		return protolog.JSON
	}
	return protolog.CSV
}

// LogQuery asks for rows that fit all that is given.
type LogQuery struct {
	RowFormat
	LogFilter
}

func logRule(r protolog.Rule) LogRule {
	shown := LogRule{ID: r.ID, Since: r.Since, LogFilter: LogFilter{
		User: r.Filter.User, IP: r.Filter.IP, Server: r.Filter.Server, Session: r.Filter.Session,
		Command: r.Filter.Command, Slower: r.Filter.Slower.Seconds(),
	}}
	if !r.Until.IsZero() {
		shown.Until = &r.Until
	}
	return shown
}

// logRules are the rules in force.
func logRules(l Log) []LogRule {
	shown := []LogRule{}
	for _, r := range l.Status().Rules {
		shown = append(shown, logRule(r))
	}
	return shown
}

// LogOnRequest begins a rule.
type LogOnRequest struct {
	LogFilter
	For float64 `json:"for,omitempty"` // seconds; 0 for without end
}

// LogOffRequest ends a rule, or all if ID is "".
type LogOffRequest struct {
	ID string `json:"id,omitempty"`
}

// LogEnded lists rules that have ended.
type LogEnded struct {
	Ended int       `json:"ended"`
	Rules []LogRule `json:"rules"`
}

// logRoutes adds the protocol log to the API.
func logRoutes(api huma.API, l Log) {
	get(api, "show-log", PathLog, "Show the state of the protocol log",
		func(context.Context, *None) (LogStatus, error) { return logStatus(l), nil })
	change(api, "begin-log-rule", PathLogOn,
		"Begin a rule of the protocol log, or give the rule with the same filter a new end",
		func(ctx context.Context, _ string, r LogOnRequest) (LogRule, error) {
			was, begun, err := l.On(ctx, r.filter(), inSeconds(r.For))
			var old any
			if was != nil {
				old = logRule(*was)
			}
			if err == nil {
				Changed(ctx, Difference{"rule " + begun.ID, old, logRule(begun)})
			}
			return logRule(begun), err
		})
	change(api, "end-log-rules", PathLogOff, "End a rule of the protocol log, or all",
		func(ctx context.Context, _ string, r LogOffRequest) (LogEnded, error) {
			ended, err := l.Off(ctx, r.ID)
			if err == nil {
				Changed(ctx)
			}
			rules := []LogRule{}
			for _, r := range ended { // the status may not list a new rule yet
				rules = append(rules, logRule(r))
				Changed(ctx, Difference{"rule " + r.ID, logRule(r), nil})
			}
			return LogEnded{len(rules), rules}, err
		})
	rows(api, "follow-log", PathLogStream, "Send rows as they come",
		func(w http.ResponseWriter, r *http.Request, in *LogQuery) { stream(w, r, l, in.filter(), in.format()) })
	rows(api, "list-log-rows", PathLogRows, "List the rows in the files that fit all that is given",
		func(w http.ResponseWriter, r *http.Request, in *struct {
			LogQuery
			From time.Time `query:"from"`
			To   time.Time `query:"to"`
		}) {
			past(w, r, l, protolog.Search{Filter: in.filter(), From: in.From, To: in.To}, in.format())
		})
	rows(api, "list-log-rows-of-session", PathLogSession, "List the rows of a session",
		func(w http.ResponseWriter, r *http.Request, in *struct {
			RowFormat
			ID string `path:"id"`
		}) {
			past(w, r, l, protolog.Search{Filter: protolog.Filter{Session: in.ID}}, in.format())
		})
}

func logStatus(l Log) LogStatus {
	s := l.Status()
	shown := LogStatus{
		Rules: logRules(l), Watchers: s.Watchers, Pending: s.Pending, Rows: s.Rows, Dropped: s.Dropped,
		File: s.File, Failing: s.Failing,
	}
	if s.Failing != "" {
		shown.Since = &s.Since
	}
	return shown
}

// rows adds a request that sends rows of the protocol log.
func rows[In any](api huma.API, id, path, summary string, send func(http.ResponseWriter, *http.Request, *In)) {
	op := operation(http.MethodGet, id, path, summary)
	op.Responses["200"] = &huma.Response{Description: "Rows.", Content: map[string]*huma.MediaType{}}
	for _, t := range rowTypes {
		op.Responses["200"].Content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	huma.Register(api, op, func(_ context.Context, in *In) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(of huma.Context) {
			r, w := humago.Unwrap(of)
			send(w, r, in)
		}}, nil
	})
}

// watches tells whether a request watches rows, here or on another node.
func watches(r *http.Request) bool { return pathAtNode(r) == PathLogStream }

// lasts tells whether a request goes on until its client ends it, here or on another node.
func lasts(r *http.Request) bool { return watches(r) || pathAtNode(r) == PathEvents }

// pathAtNode is a request's path at the node that answers it.
func pathAtNode(r *http.Request) string {
	path := r.URL.Path
	if rest, ok := strings.CutPrefix(path, nodePages); ok {
		_, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	return path
}

// watching bounds the watchers over TCP, so that the socket has places left.
func (d *endpoint) watching(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if watches(r) && !d.socket {
			by := Who(r.Context())
			if !d.server.remote.take(by) {
				fail(w, fmt.Errorf("follow the log over TCP: %w", protolog.ErrTooMany))
				return
			}
			defer d.server.remote.leave(by)
		}
		next.ServeHTTP(w, r)
	})
}

// rowTypes are the media types of rows.
var rowTypes = [...]string{protolog.CSV: "text/csv; charset=utf-8", protolog.JSON: "application/x-ndjson"}

// stream sends rows as they come, until the client goes away. One that does not read keeps nobody waiting: the rows
// that find no room are told to it as lost.
func stream(w http.ResponseWriter, r *http.Request, l Log, f protolog.Filter, format protolog.Format) {
	tail, err := l.Tail(f, format)
	switch {
	case errors.Is(err, protolog.ErrTooMany), errors.Is(err, protolog.ErrClosed):
		fail(w, err)
		return
	case err != nil:
		fail(w, Of(KindInvalid, err))
		return
	}
	defer tail.Close()
	out := http.NewResponseController(w)
	out.SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", rowTypes[format])
	if format == protolog.CSV {
		io.WriteString(w, protolog.Heading())
	}
	var rows []byte
	for err := out.Flush(); err == nil; err = out.Flush() {
		var lost uint64
		if rows, lost, err = tail.Next(r.Context(), rows[:0]); err != nil {
			return
		}
		if lost > 0 {
			rows = append(rows, protolog.LostLine(format, lost)...)
		}
		if _, err := w.Write(rows); err != nil {
			return
		}
	}
}

// searchTime is how long a search through the files may take before its first row.
const searchTime = 10 * time.Minute

// past sends the rows that the files have.
func past(w http.ResponseWriter, r *http.Request, l Log, search protolog.Search, format protolog.Format) {
	out := http.NewResponseController(w)
	out.SetWriteDeadline(time.Now().Add(searchTime))
	found := false
	err := l.Find(r.Context(), search, format, func(row []byte) error {
		if !found {
			found = true
			w.Header().Set("Content-Type", rowTypes[format])
			if format == protolog.CSV {
				io.WriteString(w, protolog.Heading())
			}
		}
		out.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err := w.Write(row)
		return err
	})
	switch {
	case found && err != nil:
		panic(http.ErrAbortHandler) // the client is not to take it for all there is
	case errors.Is(err, protolog.ErrFilter):
		fail(w, err)
	case err != nil:
		fail(w, Of(KindFailed, err))
	case !found && search.Session != "":
		fail(w, Unknown(fmt.Errorf("the files have no row of session %q", search.Session)))
	case !found:
		fail(w, Unknown(errors.New("the files have no such row")))
	}
}
