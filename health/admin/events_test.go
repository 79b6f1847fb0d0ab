package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/backendtest/testkit"
)

// countingAPI is an API whose answers change with each request, as far as they do.
type countingAPI struct {
	takes   time.Duration
	mu      sync.Mutex // guards asked: each request that is followed has a goroutine
	asked   map[string]int
	changes bool
	text    string
}

func (c *countingAPI) events() *events {
	c.asked = make(map[string]int)
	mux := http.NewServeMux()
	for _, path := range []string{PathSessions, PathServers, PathUser, PathStoreEntries} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(c.takes)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.asked[r.URL.Path]++
			n := 0
			if c.changes {
				n = c.asked[r.URL.Path]
			}
			json.NewEncoder(w).Encode(map[string]any{"n": n, "text": c.text, "query": r.URL.RawQuery})
		})
	}
	e := newEvents()
	e.mux = mux
	return e
}

// watcher is a client of events.
type watcher struct {
	*httptest.ResponseRecorder
	leave context.CancelFunc
	ended chan struct{}
}

// watch follows paths. The test may read the recorder when ended is closed.
func watch(t *testing.T, e *events, paths ...string) watcher {
	t.Helper()
	stream, err := e.follow("ann", paths)
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(context.Background())
	w := watcher{httptest.NewRecorder(), leave, make(chan struct{})}
	go func() {
		defer close(w.ended)
		defer e.leave(stream)
		e.send(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), stream)
	}()
	return w
}

// answers returns what the client has got, when it has left.
func (w watcher) answers(t *testing.T) (all []FollowedAnswer) {
	t.Helper()
	w.leave()
	<-w.ended
	for event := range strings.SplitSeq(w.Body.String(), "\n\n") {
		data, ok := strings.CutPrefix(event, "event: answer\ndata: ")
		if !ok {
			continue
		}
		var answer FollowedAnswer
		if err := json.Unmarshal([]byte(data), &answer); err != nil {
			t.Errorf("%v: %q", err, data)
		}
		all = append(all, answer)
	}
	return all
}

// A request is made once a second for all who follow it, and not at all when nobody does.
func TestEventsShareRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &countingAPI{changes: true}
		e := api.events()
		first, second := watch(t, e, PathSessions), watch(t, e, PathSessions, PathServers)
		time.Sleep(10*time.Second + 2*gatherDelay)
		for n, w := range map[int]watcher{11: first, 14: second} { // of sessions each second, of servers every 5
			if got := len(w.answers(t)); got != n {
				t.Errorf("%d answers, want %d", got, n)
			}
		}
		if api.asked[PathSessions] != 11 || api.asked[PathServers] != 3 {
			t.Errorf("asked %v", api.asked)
		}
		time.Sleep(time.Minute)
		if api.asked[PathSessions] != 11 || len(e.feeds) != 0 || e.slots.taken != 0 {
			t.Errorf("asked %v when nobody follows; %d feeds are left", api.asked, len(e.feeds))
		}
		e.end()
	})
}

// What takes long is made the less often, and still within a bound.
func TestEventsOfLongRequests(t *testing.T) {
	for takes, want := range map[time.Duration]int{0: 61, 30 * time.Millisecond: 21, time.Second: 7} {
		synctest.Test(t, func(t *testing.T) {
			c := &countingAPI{takes: takes}
			e := c.events()
			w := watch(t, e, PathSessions)
			time.Sleep(time.Minute + takes + time.Millisecond) // the last one has been made
			w.answers(t)
			e.end()
			if got := c.asked[PathSessions]; got != want {
				t.Errorf("a request of %v was made %d times in a minute, want %d", takes, got, want)
			}
		})
	}
}

// What does not change is sent once. Comments keep the connection open.
func TestEventsOnlyOfChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := (&countingAPI{text: "a\nb"}).events()
		path := PathOf(PathUser, "a/b@example.org") + "?x=1"
		w := watch(t, e, path)
		time.Sleep(time.Minute)
		got := w.answers(t)
		if len(got) != 1 || got[0].Path != path || got[0].Status != http.StatusOK ||
			string(got[0].Body) != `{"n":0,"query":"x=1","text":"a\nb"}` {
			t.Errorf("got %+v", got)
		}
		if beats := strings.Count(w.Body.String(), ": \n\n"); beats < 3 || beats > 4 {
			t.Errorf("%d comments", beats)
		}
		if kind := w.Header().Get("Content-Type"); kind != "text/event-stream" {
			t.Error(kind)
		}
		e.end()
	})
}

// A stream ends after its time, and when the server ends.
func TestEventsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := (&countingAPI{}).events()
		began := time.Now()
		<-watch(t, e, PathSessions).ended
		if took := time.Since(began); took < streamLifetime || took > streamLifetime+time.Second {
			t.Errorf("ended after %v", took)
		}
		w := watch(t, e, PathSessions)
		time.Sleep(time.Second)
		e.end()
		<-w.ended
	})
}

func TestEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := (&countingAPI{text: strings.Repeat("x", maxFollowedBody)}).events()
		defer e.end()
		for _, path := range []string{PathStoreEntries, "/metrics", "http://127.0.0.1" + PathSessions,
			"//x" + PathSessions, PathEvents, SitePath(PathEvents), SitePath(PathSite), "%",
			"", PathSessions + "/kick", "/api/v1//sessions"} {
			if _, err := e.follow("ann", []string{path}); KindOf(err) != KindInvalid {
				t.Errorf("%q: %v", path, err)
			}
		}
		var many []string
		for n := range maxFollowed + 1 {
			many = append(many, fmt.Sprintf("%s?%d", PathSessions, n))
		}
		if _, err := e.follow("ann", many); KindOf(err) != KindInvalid {
			t.Errorf("many: %v", err)
		}
		var all []watcher
		for range maxEventStreams / 2 {
			all = append(all, watch(t, e, PathSessions))
		}
		if _, err := e.follow("ann", []string{PathSessions}); KindOf(err) != KindUnavailable {
			t.Errorf("one more stream: %v", err)
		}
		time.Sleep(time.Second)
		for _, w := range all {
			if got := w.answers(t); len(got) != 1 || got[0].Status != http.StatusConflict ||
				!strings.Contains(string(got[0].Body), "too long to follow") {
				t.Fatalf("got %+v", got)
			}
		}
	})
}

// Events pass the whole server, and end with it.
func TestEventsOverHTTP(t *testing.T) {
	testkit.NoLeaks(t)
	s := open(t, testkit.Listen(t), Options{API: (&changing{settings: []SettingState{{Name: "x"}}}).api()}, nil)
	for query, want := range map[string]int{
		"": http.StatusUnprocessableEntity, "?paths=x": http.StatusUnprocessableEntity,
		"?path=/api/v1/caller": http.StatusBadRequest,
	} {
		if status, body, _ := s.get(t, "http", "localhost", PathEvents+query, ""); status != want {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	request, err := http.NewRequestWithContext(testkit.Context(t), http.MethodGet,
		"http://localhost"+PathEvents+"?path="+PathSettings+"&path="+PathSettings, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Scan()
	lines.Scan()
	const want = `data: {"path":"/api/v1/settings","status":200,"body":[{"name":"x"`
	if !strings.HasPrefix(lines.Text(), want) {
		t.Errorf("got %s", lines.Text())
	}
	if err := s.server.Shutdown(testkit.Context(t)); err != nil {
		t.Error(err)
	}
	for lines.Scan() {
	}
	if lines.Err() != nil {
		t.Error(lines.Err())
	}
}

// One caller cannot take all streams, or have all requests made: another one still finds room. What is over frees it.
func TestEventsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := (&countingAPI{}).events()
		defer e.end()
		n := 0
		fill := func(by string) (opened []*eventStream) {
			for {
				var paths []string
				for range maxFollowed {
					n++
					paths = append(paths, fmt.Sprintf("%s?%d", PathSessions, n))
				}
				stream, err := e.follow(by, paths)
				if err != nil {
					return opened
				}
				opened = append(opened, stream)
			}
		}
		ann := fill("ann")
		if len(e.feeds) != maxFeeds/2 {
			t.Errorf("one caller follows %d requests", len(e.feeds))
		}
		shared, err := e.follow("ann", []string{ann[0].anyPath()})
		if err != nil {
			t.Errorf("a request that is made anyway: %v", err)
		}
		bob := fill("bob")
		if len(e.feeds) != maxFeeds || len(fill("eve")) != 0 {
			t.Errorf("all callers follow %d requests", len(e.feeds))
		}
		for _, stream := range append(append(ann, bob...), shared) {
			e.leave(stream)
		}
		if len(fill("eve")) == 0 {
			t.Error("no room when the others have left")
		}
	})
}

// anyPath is one of the paths that a stream follows.
func (s *eventStream) anyPath() string {
	for f := range s.sent {
		return f.path
	}
	return ""
}

// A client that does not read keeps one answer, and the time of its stream ends as for others.
func TestEventsToSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := (&countingAPI{changes: true}).events()
		defer e.end()
		stream, err := e.follow("ann", []string{PathSessions, PathServers, PathOf(PathUser, "ann")})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		began := time.Now()
		slow := &slowWriter{ResponseRecorder: httptest.NewRecorder()}
		e.send(slow, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), stream)
		e.leave(stream)
		if took := time.Since(began); took > streamLifetime+4*slowWrite {
			t.Errorf("the stream lasted %v", took)
		}
		if slow.answers > 1 {
			t.Errorf("%d answers in one piece", slow.answers)
		}
	})
}

// slowWrite is how long a slowWriter takes for each piece, and answers the most answers that a piece has had.
const slowWrite = 2 * time.Second

type slowWriter struct {
	*httptest.ResponseRecorder
	answers int
}

func (w *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(slowWrite)
	w.answers = max(w.answers, strings.Count(string(p), "event: answer"))
	return len(p), nil
}

// A handler that panics ends neither the program nor the stream. Those of the API do so if an answer is too large.
func TestEventsSurvivePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		get(newOperations(mux), "large", PathSessions, "", func(context.Context, *None) (string, error) {
			return strings.Repeat("x", maxFollowedBody), nil
		})
		mux.HandleFunc("GET "+PathServers, func(http.ResponseWriter, *http.Request) { panic("fault") })
		e := newEvents()
		e.mux = mux
		w := watch(t, e, PathSessions, PathServers)
		time.Sleep(10 * time.Second)
		got := map[string]int{}
		for _, answer := range w.answers(t) {
			got[answer.Path] = answer.Status
		}
		if got[PathSessions] != http.StatusConflict || got[PathServers] != http.StatusInternalServerError {
			t.Errorf("got %v", got)
		}
		e.end()
	})
}
