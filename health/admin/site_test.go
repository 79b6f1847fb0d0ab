package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"portico/backend/backendtest/testkit"
	"portico/fleet"
	"portico/health/turns"
)

// siteOf returns the pages of a node mx1 of these parts, with other nodes.
func siteOf(api API, others ...fleet.Node) http.Handler {
	return pages(Options{Gatherer: prometheus.NewRegistry(), API: api, Name: "mx1",
		Others: func() []fleet.Node { return others }})
}

// askAll sends a request to a node's pages. Each answer has the form NODE:ANSWER or NODE!KIND:DETAIL.
func askAll(t *testing.T, node http.Handler, method, path, body string) (status int, answers []string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	node.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	var got SiteAnswer
	if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
		t.Fatalf("%s: %v", recorder.Body, err)
	}
	for _, n := range got.Nodes {
		if n.Problem != nil {
			answers = append(answers, fmt.Sprintf("%s!%s:%s", n.Node, n.Problem.Kind, n.Problem.Detail))
			continue
		}
		answers = append(answers, n.Node+":"+string(n.Answer))
	}
	return recorder.Code, answers
}

// node is another node that answers as handler does, over a real connection.
func node(t *testing.T, name string, handler http.HandlerFunc) fleet.Node {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return fleet.Node{Name: name, Handler: wayTo(t, name, server.URL)}
}

func wayTo(t *testing.T, name, address string) http.Handler {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to); PassOn(r.Out, r.In.Context(), "mx1") },
		Transport: &http.Transport{DisableKeepAlives: true},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			Refuse(w, Of(KindUnreachable, fmt.Errorf("node %s: %w", name, err)))
		},
	}
}

// All nodes are asked the same, and each answers for itself: what a node cannot answer, or answers that is no answer,
// is its problem.
func TestSite(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	says := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, text)
		}
	}
	old := problemText(KindInvalid, 422, "read the request: query.limit: unknown query parameter")
	older := `{"error":"it says no more"}`
	stranger := pages(Options{Gatherer: prometheus.NewRegistry(), API: (&noted{}).api(), Name: "other"})
	refusing := problemText(KindUnauthenticated, 401, "this request needs a token, or the admin socket")
	long := problemText(KindRefused, 409, strings.Repeat("x", 2*maxSiteProblem))
	others := []fleet.Node{
		node(t, "mx2", stranger.ServeHTTP),
		{Name: "dead", Handler: wayTo(t, "dead", dead.URL)},
		node(t, "old", says(422, old)),
		node(t, "older", says(404, older)),
		node(t, "token", says(401, refusing)),
		node(t, "garbage", says(200, "<html>")),
		node(t, "foreign", says(404, "404 page not found")),
		node(t, "empty", says(200, "")),
		node(t, "problem", says(200, old)),
		node(t, "null", says(200, "null")),
		node(t, "deep", says(200, strings.Repeat("[", 9999)+strings.Repeat("]", 9999))),
		node(t, "flat", says(200, "["+strings.Repeat(`["\"["],`, 2*maxSiteDepth)+`"\u005b\\"]`)),
		node(t, "bytes", says(200, "[\"a\xffb\"]")),
		node(t, "screen", says(500, `{"detail":"\u001b[2J\u202e\nportico: all is well","kind":"failed"}`)),
		node(t, "long", says(409, long)),
		{Name: "mx1", Handler: http.HandlerFunc(says(500, "this node is not asked twice"))},
	}
	status, got := askAll(t, siteOf((&noted{}).api(), others...), "GET", "/api/v1/site/sessions?user=ann&limit=1", "")
	want := []string{
		`mx1:[{"id":"1","user":"ann",`, `mx2:[{"id":"1","user":"ann",`, "dead!unreachable:dial tcp 127.0.0.1:",
		"old!invalid:read the request: query.limit: unknown query parameter", "older!failed:it says no more",
		"token!unauthenticated:it does not accept the token that the configuration has for it: this request needs",
		"garbage!unreachable:it is another version of Portico, or not Portico: it answers 200 OK",
		"foreign!unreachable:it is another version of Portico, or not Portico: it answers 404 Not Found",
		"empty!unreachable:it is another version", "problem!unreachable:it is another version", "null!unreachable:it is another version", "deep!unreachable:it is another version", `flat:[["\"["],`,
		"bytes:[\"a\uFFFDb\"]", "screen!failed:?[2J??portico: all is well", "long!refused:xxx",
	}
	if status != http.StatusOK || len(got) != len(want) {
		t.Fatalf("%d %q", status, got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) || len(got[i]) > maxSiteProblem+100 {
			t.Errorf("%s, want %s", got[i], want[i])
		}
	}
}

// What another node has passed on is answered, and not passed on again.
func TestPassedOnOnce(t *testing.T) {
	last := fleet.Node{Name: "mx3", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("mx3 is asked through two nodes")
	})}
	through := func(name string, next fleet.Node) http.Handler {
		return pages(Options{Gatherer: prometheus.NewRegistry(), API: (&noted{}).api(), Name: name,
			Node:   func(string) (http.Handler, error) { return next.Handler, nil },
			Others: func() []fleet.Node { return []fleet.Node{next} }})
	}
	first := through("mx1", node(t, "mx2", through("mx2", last).ServeHTTP))
	for path, status := range map[string]int{
		"/nodes/mx2/api/v1/sessions":           http.StatusOK,
		"/api/v1/site/sessions":                http.StatusOK,
		"/nodes/mx2/nodes/mx3/api/v1/sessions": http.StatusBadRequest,
		"/nodes/mx2/api/v1/site/sessions":      http.StatusBadRequest,
	} {
		recorder := httptest.NewRecorder()
		first.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
		if body := recorder.Body.String(); recorder.Code != status ||
			status != http.StatusOK && !strings.Contains(body, "it is passed on once") {
			t.Errorf("%s: %d %s", path, recorder.Code, body)
		}
	}
}

// A node that does not answer is named after its time, and one that sends too much at once.
func TestSlowAndHugeNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		huge := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for part := make([]byte, 1<<20); ; {
				if _, err := w.Write(part); err != nil {
					panic(http.ErrAbortHandler)
				}
			}
		})
		site := siteOf((&noted{}).api(), fleet.Node{Name: "silent", Handler: silent},
			fleet.Node{Name: "huge", Handler: huge})
		_, got := askAll(t, site, "GET", "/api/v1/site/names", "")
		if len(got) != 3 || got[1] != "silent!unreachable:no answer within 2s" ||
			got[2] != "huge!refused:the answer is too large: give a filter or a limit" {
			t.Errorf("%q", got)
		}
		_, got = askAll(t, site, "POST", "/api/v1/site/sessions/kick", `{"user":"ann"}`)
		if len(got) != 3 || !strings.HasPrefix(got[0], `mx1:{"ended":3`) ||
			got[1] != "silent!unreachable:no answer within 15s" {
			t.Errorf("%q", got)
		}
	})
}

// A site of one node answers for that.
func TestSiteOfOneNode(t *testing.T) {
	alone := pages(Options{Gatherer: prometheus.NewRegistry(), API: (&noted{}).api(), Name: "mx1"})
	if _, got := askAll(t, alone, "GET", "/api/v1/site/nodes", ""); len(got) != 1 || got[0] != "mx1:null" {
		t.Errorf("%q", got)
	}
}

// What is not for all nodes is refused, and no path leads anywhere else.
func TestSiteRefuses(t *testing.T) {
	other := node(t, "mx2", func(_ http.ResponseWriter, r *http.Request) { t.Errorf("mx2 is asked for %s", r.URL) })
	site := siteOf((&noted{}).api(), other)
	for _, c := range []struct {
		method, path string
		kind         Kind
	}{
		{"GET", "site/sessions", KindUnsupported}, {"GET", "%73ite/sessions", KindUnsupported},
		{"POST", "site/sessions/kick", KindUnsupported}, {"GET", "", KindUnsupported},
		{"GET", "%2e%2e/%2e%2e/metrics", KindUnsupported}, {"GET", "users/%2e/name", KindUnsupported},
		{"GET", "log/stream", KindInvalid}, {"GET", "lo%67/stream", KindInvalid},
		{"GET", "events?path=x", KindInvalid},
		{"POST", "servers/mbx1/block", KindInvalid}, {"POST", "settings", KindInvalid},
		{"POST", "users/ann/move", KindInvalid}, {"POST", "nothing", KindInvalid},
		{"DELETE", "sessions", KindInvalid},
	} {
		recorder := httptest.NewRecorder()
		site.ServeHTTP(recorder, httptest.NewRequest(c.method, PathSite+c.path, nil))
		var got Problem
		if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil || got.Kind != c.kind {
			t.Errorf("%s %s: %d %s (%v)", c.method, c.path, recorder.Code, recorder.Body, err)
		}
	}
}

// A change is in this node's log once, with what it has changed here, and is sent to the others on behalf of whoever
// asks. Whoever may only read may ask all nodes, and change nothing.
func TestSiteChange(t *testing.T) {
	var behalf, credentials string
	other := node(t, "mx2", func(w http.ResponseWriter, r *http.Request) {
		behalf = r.Header.Get(behalfHeader)
		credentials = r.Header.Get("Authorization") + r.Header.Get("Cookie")
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"asked":%q}`, r.Method+" "+r.URL.Path+" "+string(body))
	})
	var log testkit.Log
	s := open(t, testkit.Listen(t), Options{API: (&changing{}).api(), Name: "mx1", Log: zerolog.New(&log),
		Others: func() []fleet.Node { return []fleet.Node{other} },
		Access: Access{Tokens: allTokens}}, nil)
	said := "" // by the sender about whose request it is
	send := func(method, path, token string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			request.Body = io.NopCloser(strings.NewReader(`{"user":"ann"}`))
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Cookie", "of=browser")
		request.Header.Set(behalfHeader, said)
		status, text, _ := s.send(t, request)
		return status, text
	}
	status, text := send("POST", "/api/v1/site/sessions/kick", token)
	if status != 200 || !strings.Contains(text, `{"node":"mx2","answer":{"asked":"POST /api/v1/sessions/kick `) ||
		!strings.Contains(text, `{\"user\":\"ann\"}`) ||
		behalf != "token admin.token of node mx1" || credentials != "" {
		t.Errorf("%d %s, on behalf of %q, with %q", status, text, behalf, credentials)
	}
	if got := log.String(); strings.Count(got, "change requested") != 1 ||
		!strings.Contains(got, `"old":{"sessions":["0123456789abcdef of ann`) {
		t.Error(got)
	}
	if status, text := send("GET", "/api/v1/site/names", readToken); status != 200 ||
		behalf != "token read.token of node mx1" {
		t.Errorf("%d %s, on behalf of %q", status, text, behalf)
	}
	behalf = ""
	if status, _ := send("POST", "/api/v1/site/sessions/kick", readToken); status != 403 || behalf != "" {
		t.Errorf("a reader changes: %d, %q", status, behalf)
	}
	said = "mallory"
	if status, _ := send("POST", "/api/v1/site/sessions/kick", token); status != 400 || behalf != "" {
		t.Errorf("in the name of another one: %d, %q", status, behalf)
	}
}

// Readers that do not take their answers keep nobody else from asking: these answers give way.
func TestSlowReadersOfSite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := siteOf((&noted{}).api())
		ended := make(chan struct{}, maxSiteAtOnce)
		for range maxSiteAtOnce {
			go func() {
				site.ServeHTTP(newStuck(), httptest.NewRequest("GET", "/api/v1/site/names", nil))
				ended <- struct{}{}
			}()
		}
		synctest.Wait()
		began := time.Now()
		askAll(t, site, "GET", "/api/v1/site/names", "")
		if took := time.Since(began); took > turns.Grace || len(ended) != 1 {
			t.Errorf("asked after %v, and %d answers have given way", took, len(ended))
		}
		for range maxSiteAtOnce {
			<-ended // each has a minute
		}
		if took := time.Since(began); took > writeTimeout {
			t.Errorf("the last took %v", took)
		}
	})
}

// stuck is the connection of a client that does not read. Writing ends at its deadline.
type stuck struct {
	*httptest.ResponseRecorder
	mu       sync.Mutex
	deadline *time.Timer
	once     sync.Once
	over     chan struct{}
}

func newStuck() *stuck {
	return &stuck{ResponseRecorder: httptest.NewRecorder(), over: make(chan struct{})}
}

// SetWriteDeadline is for http.ResponseController.
func (s *stuck) SetWriteDeadline(at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deadline != nil {
		s.deadline.Stop()
	}
	if !at.IsZero() {
		s.deadline = time.AfterFunc(time.Until(at), func() { s.once.Do(func() { close(s.over) }) })
	}
	return nil
}

func (s *stuck) Write([]byte) (int, error) {
	<-s.over
	return 0, os.ErrDeadlineExceeded
}
