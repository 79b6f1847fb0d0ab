package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"portico/fleet"
)

// PathEvents sends the answers of other requests again whenever they change.
const PathEvents = prefix + "events"

// followed are the requests that can be followed, and how often each is made at most while somebody follows it. The
// slower ones ask mailbox servers.
var followed = map[string]time.Duration{
	PathReport:      time.Second,
	PathAlerts:      time.Second,
	PathRecovery:    time.Second,
	PathMaintenance: time.Second,
	PathComponents:  time.Second,
	PathOverrides:   time.Second,
	PathSessions:    time.Second,
	PathPenalties:   time.Second,
	PathLog:         time.Second,
	PathSettings:    time.Second,
	PathNames:       5 * time.Second,
	PathSlow:        5 * time.Second,
	PathProbes:      5 * time.Second,
	PathServers:     5 * time.Second,
	PathGenerations: 5 * time.Second,
	PathDatabases:   5 * time.Second,
	PathUser:        5 * time.Second,
	PathStats:       5 * time.Second,
	PathStatsSeries: 5 * time.Second,
}

// Bounds of events.
const (
	siteInterval      = 2 * time.Second // a question to all nodes is asked no more often
	maxEventStreams   = 32
	maxFeeds          = 64                    // requests of all streams; their answers are in memory
	maxFollowed       = 16                    // requests of a stream
	maxFollowedBody   = 1 << 20               // bytes
	maxAtOnce         = 16                    // requests that are made at the same time
	followTimeout     = 10 * time.Second      // of one request
	updateInterval    = time.Second           // updates of a stream come no closer
	gatherDelay       = 50 * time.Millisecond // answers that come so close together are one update
	heartbeatInterval = 15 * time.Second      // shows a stream without changes to be alive
	streamLifetime    = 5 * time.Minute       // then the client asks again, and shows again that it may
)

// Bounds of Pace.
const (
	restShare   = 100
	longestRest = 10 * time.Second
)

// Pace returns how long to wait between two requests for a list that is shown again and again: interval, or a hundred
// times as long as the last answer took, up to ten seconds. To watch a long list must not cost more than a hundredth of
// a CPU.
func Pace(interval, took time.Duration) time.Duration {
	return max(interval, min(restShare*took, longestRest))
}

// FollowedAnswer is the data of an event: the answer to a request that the stream follows.
type FollowedAnswer struct {
	Path   string          `json:"path"` // as it was asked for
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"` // the answer, or with another status than 200 a Problem
}

// events makes the requests that streams follow, each once for all streams, and none that nobody follows. One caller
// may have half of the streams, and of the requests: the others are for everybody else.
//
// A feed has a goroutine, poll: follow starts it for the first follower, leave ends it after the last one, and end ends
// and awaits all. A stream has none of its own: send runs in its HTTP request.
type events struct {
	mux    *http.ServeMux // answers them; routes sets it
	slots  *shares        // of streams
	asking chan struct{}  // has one for each request that is being made
	ended  chan struct{}  // closed by end
	once   sync.Once
	work   sync.WaitGroup // poll of each feed

	mu    sync.Mutex
	feeds map[string]*feed // by path
}

// feed makes one request again and again.
type feed struct {
	path     string
	interval time.Duration
	by       string // the caller who was first to follow it
	cancel   context.CancelFunc

	// events.mu guards the rest
	event     []byte // the latest answer; nil before the first. Never changed in place
	version   int    // counts answers that differ from the one before
	followers map[*eventStream]struct{}
}

// eventStream is what one client follows.
type eventStream struct {
	by   string        // the client
	wake chan struct{} // a feed has another answer
	sent map[*feed]int // the versions that the client has; events.mu guards them
}

func newEvents() *events {
	return &events{slots: newShares(maxEventStreams), asking: make(chan struct{}, maxAtOnce),
		ended: make(chan struct{}), feeds: make(map[string]*feed)}
}

// routes adds events to the pages.
func (e *events) routes(mux *http.ServeMux) {
	e.mux = mux
	eventRoutes(newOperations(mux), e)
}

// eventRoutes adds events to the API.
func eventRoutes(api huma.API, e *events) {
	op := operation(http.MethodGet, "follow", PathEvents, "Send the answers of other requests whenever they change, "+
		"as server-sent events: at most one update a second, for five minutes")
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[FollowedAnswer](), true, "")
	op.Responses["200"] = &huma.Response{Description: "Events.", Content: map[string]*huma.MediaType{
		"text/event-stream": {Schema: schema}}}
	huma.Register(api, op, func(ctx context.Context, in *struct {
		Path []string `query:"path,explode" required:"true" doc:"The paths of the requests to follow"`
	}) (*huma.StreamResponse, error) {
		stream, err := e.follow(Who(ctx), in.Path)
		if err != nil {
			return nil, problemOf(err)
		}
		return &huma.StreamResponse{Body: func(of huma.Context) {
			r, w := humago.Unwrap(of)
			defer e.leave(stream)
			e.send(w, r, stream)
		}}, nil
	})
}

// follow begins a stream of a caller.
func (e *events) follow(by string, paths []string) (*eventStream, error) {
	if len(paths) > maxFollowed {
		return nil, Of(KindInvalid, fmt.Errorf("a stream follows %d requests at most", maxFollowed))
	}
	intervals := make(map[string]time.Duration)
	for _, path := range paths {
		interval, err := e.interval(path)
		if err != nil {
			return nil, err
		}
		intervals[path] = interval
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.room(by, intervals) {
		return nil, Of(KindUnavailable, errors.New("too many requests are followed"))
	}
	if !e.slots.take(by) {
		return nil, Of(KindUnavailable, errors.New("too many streams of events are open"))
	}
	stream := &eventStream{by: by, wake: make(chan struct{}, 1), sent: make(map[*feed]int)}
	for path, interval := range intervals {
		f := e.feeds[path]
		if f == nil {
			ctx, cancel := context.WithCancel(context.Background())
			f = &feed{path: path, interval: interval, by: by, cancel: cancel,
				followers: make(map[*eventStream]struct{})}
			e.feeds[path] = f
			e.work.Go(func() { e.poll(ctx, f) })
		}
		f.followers[stream] = struct{}{}
		stream.sent[f] = 0
		if f.version > 0 {
			stream.wakeUp()
		}
	}
	return stream, nil
}

// room says whether a caller's requests may be followed: those that nobody follows yet are not too many. The caller of
// room holds mu.
func (e *events) room(by string, paths map[string]time.Duration) bool {
	begun, added := 0, 0
	for _, f := range e.feeds {
		if f.by == by {
			begun++
		}
	}
	for path := range paths {
		if e.feeds[path] == nil {
			added++
		}
	}
	return added == 0 || len(e.feeds)+added <= maxFeeds && begun+added <= maxFeeds/2
}

// interval says how often a request is made that is followed.
func (e *events) interval(asked string) (time.Duration, error) {
	if inner, ok := strings.CutPrefix(asked, PathSite); ok {
		interval, err := e.interval(prefix + inner)
		return max(interval, siteInterval), err
	}
	at, err := url.Parse(asked)
	if err != nil || at.Scheme != "" || at.Host != "" {
		return 0, Of(KindInvalid, fmt.Errorf("%q is not the path of a request", asked))
	}
	if at.Path != path.Clean(at.Path) {
		return 0, Of(KindInvalid, fmt.Errorf("%s cannot be followed", at.Path)) // the mux would redirect it
	}
	_, pattern := e.mux.Handler(&http.Request{Method: http.MethodGet, URL: at})
	for of, interval := range followed {
		if pattern == http.MethodGet+" "+of {
			return interval, nil
		}
	}
	return 0, Of(KindInvalid, fmt.Errorf("%s cannot be followed", at.Path))
}

// leave ends a stream. A feed without followers ends too.
func (e *events) leave(stream *eventStream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for f := range stream.sent {
		delete(f.followers, stream)
		if len(f.followers) == 0 {
			f.cancel()
			delete(e.feeds, f.path)
		}
	}
	e.slots.leave(stream.by)
}

// poll makes a feed's request until ctx ends.
func (e *events) poll(ctx context.Context, f *feed) {
	for {
		event, took := e.ask(ctx, f.path)
		e.mu.Lock()
		if !bytes.Equal(f.event, event) {
			f.event = event
			f.version++
			for stream := range f.followers {
				stream.wakeUp()
			}
		}
		e.mu.Unlock()
		select {
		case <-time.After(Pace(f.interval, took) - took):
		case <-ctx.Done():
			return
		}
	}
}

// ask makes a request, and returns its answer as an event, and how long it took.
func (e *events) ask(ctx context.Context, path string) (event []byte, took time.Duration) {
	select {
	case e.asking <- struct{}{}:
		defer func() { <-e.asking }()
	case <-ctx.Done():
		return nil, 0
	}
	began := time.Now()
	return e.answer(ctx, path), time.Since(began)
}

// answer answers a request as an event.
func (e *events) answer(ctx context.Context, path string) []byte {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, callerKey{}, &caller{who: "the console"}), followTimeout)
	defer cancel()
	answer := &fleet.Recorder{Limit: maxFollowedBody}
	err := e.serve(answer, ctx, path)
	if answer.TooLarge {
		err = Of(KindRefused, errors.New("the answer is too long to follow: ask for less of it"))
	}
	if err != nil {
		answer = &fleet.Recorder{Limit: maxFollowedBody}
		fail(answer, err)
	}
	data, err := json.Marshal(FollowedAnswer{path, answer.Status(), answer.Body()})
	if err != nil {
		return []byte(": no JSON\n\n") // a comment; all that can be followed is JSON
	}
	return append(append([]byte("event: answer\ndata: "), data...), "\n\n"...)
}

// serve lets the handler of a request answer. A panic of a handler is an error, as in a server, which ends only the
// request: huma panics if an answer cannot be written.
func (e *events) serve(w http.ResponseWriter, ctx context.Context, path string) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = Of(KindFailed, fmt.Errorf("the request failed: %v", panicked))
		}
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err == nil {
		e.mux.ServeHTTP(w, r)
	}
	return err
}

// send sends what a stream follows, until the client goes away or the stream's time is over.
func (e *events) send(w http.ResponseWriter, r *http.Request, stream *eventStream) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	began, over, beat := time.Now(), time.NewTimer(streamLifetime), time.NewTicker(heartbeatInterval)
	defer over.Stop()
	defer beat.Stop()
	pause := func(d time.Duration) (ended bool) {
		select {
		case <-time.After(d):
			return false
		case <-r.Context().Done():
		case <-e.ended:
		}
		return true
	}
	write := func(text []byte) (sent bool) {
		out.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err := w.Write(text)
		return err == nil && out.Flush() == nil
	}
	for time.Since(began) < streamLifetime { // also if there is always something to send
		select {
		case <-stream.wake:
			if pause(gatherDelay) {
				return
			}
			// One at a time: a client that does not read keeps one answer in memory, and not all.
			for range stream.sent {
				if text := e.unsent(stream); text != nil && !write(text) {
					return
				}
			}
			if pause(updateInterval - gatherDelay) {
				return
			}
		case <-beat.C:
			if !write([]byte(": \n\n")) { // a comment
				return
			}
		case <-over.C:
			return
		case <-r.Context().Done():
			return
		case <-e.ended:
			return
		}
	}
}

// unsent returns an answer that a stream has not had, nil if it has had all.
func (e *events) unsent(stream *eventStream) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	for f, sent := range stream.sent {
		if sent != f.version {
			stream.sent[f] = f.version
			return f.event
		}
	}
	return nil
}

// wakeUp lets a stream look for answers.
func (s *eventStream) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// end ends all streams, and returns when no request is under way.
func (e *events) end() {
	e.once.Do(func() { close(e.ended) })
	e.mu.Lock()
	for _, f := range e.feeds {
		f.cancel()
	}
	e.mu.Unlock()
	e.work.Wait()
}
