package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Bounds of the nodes in these tests.
const (
	timeout = 2 * time.Second
	size    = 1 << 10
)

func question(path string) Question {
	return Question{Method: http.MethodGet, URL: &url.URL{Path: path}, Header: http.Header{}}
}

// says is a node's handler that answers at once.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

// hangs is a node's handler that does not answer.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// Each node gets the same request, and the answers are in the order of the nodes.
func TestAsk(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL, r.Header.Get("Content-Type"), body)
		r.URL.Path, r.Header["Content-Type"] = "/other", nil // is its own
	})
	q := Question{Method: http.MethodPost, URL: &url.URL{Path: "/a", RawQuery: "b=c"},
		Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte("{}")}
	nodes := []Node{{"mx1", echo, timeout}, {"mx2", echo, timeout}, {"mx3", says(""), timeout}}
	answers := Ask(t.Context(), nodes, q, size)
	for i, want := range []string{"mx1 202 POST /a?b=c application/json {}", "mx2 202 POST /a?b=c application/json {}",
		"mx3 200 "} {
		if got := answers[i]; fmt.Sprintf("%s %d %s", got.Node, got.Status, got.Body) != want || got.Err != nil {
			t.Errorf("%+v, want %s", got, want)
		}
	}
}

// Nodes that do not answer keep the others waiting for no longer than one's time, also a handler that does not heed its
// request's end.
func TestSlowNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		defer close(end)
		deaf := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end })
		late := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			io.WriteString(w, "late")
		})
		began := time.Now()
		answers := Ask(t.Context(), []Node{{"mx1", http.HandlerFunc(hangs), timeout}, {"mx2", deaf, timeout},
			{"mx3", says("here"), timeout}, {"mx4", late, timeout}}, question("/"), size)
		if took := time.Since(began); took != timeout {
			t.Errorf("took %v", took)
		}
		for i, want := range []error{ErrTimeout, ErrTimeout, nil, nil} {
			if !errors.Is(answers[i].Err, want) {
				t.Errorf("%s: %v", answers[i].Node, answers[i].Err)
			}
		}
		if string(answers[2].Body)+string(answers[3].Body) != "herelate" {
			t.Errorf("%+v", answers[2:])
		}
	})
}

// A few nodes are asked at once, and each has its own time.
func TestManyNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		began, at := time.Now(), make(map[time.Duration]int) // how many are asked when
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			at[time.Since(began)]++
			mu.Unlock()
			hangs(w, r)
		})
		var nodes []Node
		for n := range 2*maxAtOnce + 1 {
			nodes = append(nodes, Node{fmt.Sprint("mx", n), slow, timeout})
		}
		answers := Ask(t.Context(), nodes, question("/"), size)
		mu.Lock()
		if took := time.Since(began); took != 3*timeout || at[0] != maxAtOnce || at[timeout] != maxAtOnce {
			t.Errorf("took %v, at once %v", took, at)
		}
		mu.Unlock()
		for _, a := range answers {
			if !errors.Is(a.Err, ErrTimeout) {
				t.Errorf("%+v", a)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began = time.Now()
		if Ask(ctx, nodes, question("/"), size); time.Since(began) != time.Second {
			t.Errorf("who asked is gone: took %v", time.Since(began))
		}
	})
}

// Over a real connection, an answer that is too large or ends in the middle is no answer, and a dead node's proxy says
// so itself.
func TestBadNodes(t *testing.T) {
	node := func(handler http.HandlerFunc) Node {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		to, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		return Node{"mx", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
			Transport: &http.Transport{DisableKeepAlives: true}}, time.Minute}
	}
	huge := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", size+1)) }
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, strings.Repeat("x", 100))
		}
	}
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "too short")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	dead := httptest.NewServer(says("never"))
	dead.Close()
	to, _ := url.Parse(dead.URL)
	gone := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }}
	// As in a server, where a proxy that cannot finish its answer panics.
	ctx := context.WithValue(t.Context(), http.ServerContextKey, &http.Server{})
	answers := Ask(ctx, []Node{node(huge), node(endless), node(cut), node(says("fine")), {"gone", gone, time.Minute}},
		question("/"), size)
	for i, want := range []error{ErrTooLarge, ErrTooLarge, ErrTruncated, nil, nil} {
		if !errors.Is(answers[i].Err, want) || answers[i].Err != nil && answers[i].Body != nil {
			t.Errorf("%d: %v, want %v", i, answers[i].Err, want)
		}
	}
	if string(answers[3].Body) != "fine" || answers[4].Status != http.StatusBadGateway {
		t.Errorf("%+v", answers[3:])
	}
}

// A fault of this node's own handler is not hidden.
func TestPanic(t *testing.T) {
	defer func() {
		if recover() != "fault" {
			t.Error("the panic is lost")
		}
	}()
	Ask(t.Context(), []Node{{"mx1", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("fault") }),
		timeout}}, question("/"), size)
}
