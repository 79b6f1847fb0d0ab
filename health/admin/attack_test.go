package admin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"portico/backend/backendtest/testkit"
)

// attacked is a site on loopback that wants a token for everything, and what came through to its parts.
type attacked struct {
	*site
	api *noted
	log testkit.Log
}

func newAttacked(t *testing.T, ln net.Listener) *attacked {
	t.Helper()
	s := &attacked{api: &noted{}}
	s.site = open(t, ln, Options{API: s.api.api(), Log: zerolog.New(&s.log), Registerer: prometheus.NewRegistry(),
		Access: Access{Tokens: allTokens, KnownOnly: true},
		Node: func(name string) (http.Handler, error) {
			s.api.note("node %s", name)
			return http.NotFoundHandler(), nil
		}}, nil)
	return s
}

// sends sends a request as it is written, and returns the answer.
func (s *attacked) sends(t *testing.T, line, body string, headers ...string) (status int, header http.Header,
	answer string) {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(testkit.Patience))
	head := line + " HTTP/1.1\r\nConnection: close\r\n"
	if !strings.Contains(strings.Join(headers, "\r\n"), "Host: ") {
		head += "Host: localhost\r\n"
	}
	for _, h := range headers {
		head += h + "\r\n"
	}
	fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return response.StatusCode, response.Header, string(text)
}

const (
	reads   = "Authorization: Bearer " + readToken
	changes = "Authorization: Bearer " + token
)

// Whoever may not make a request is refused, whatever it looks like; that is counted, no part is asked, and no token
// shows up anywhere.
func TestRefusedRequests(t *testing.T) {
	testkit.NoLeaks(t)
	s := newAttacked(t, testkit.Listen(t))
	counts := map[int]float64{}
	for _, c := range []struct {
		line    string
		headers []string
		want    int
	}{
		{"GET /api/v1/servers", nil, 401},
		{"GET /metrics", []string{"Authorization: Bearer"}, 401},
		{"GET /metrics", []string{"Authorization: Basic " + token}, 401},
		{"GET /metrics?access_token=" + token, nil, 401},
		{"GET /metrics", []string{"Authorization: Bearer " + token[1:]}, 401},
		{"GET /metrics", []string{"Authorization: Bearer wrong", changes}, 401},
		{"POST " + unblock, []string{"Portico-On-Behalf-Of: root"}, 401},
		{"DELETE /api/v1/settings", nil, 401},
		{"OPTIONS *", nil, 401},
		{"POST /", nil, 401},
		{"DELETE /console/main.js", nil, 401},

		{"POST " + unblock, []string{reads}, 403},
		{"PUT " + unblock, []string{reads}, 403},
		{"BREW " + unblock, []string{reads}, 403},
		{"POST /%61pi/v1/servers/mbx1/unblock", []string{reads}, 403},
		{"POST //api/v1/servers/mbx1/unblock", []string{reads}, 403},
		{"GET /nodes/mx2/livez", []string{reads}, 403},
		{"GET /%6eodes/mx2/livez", []string{reads}, 403},
		{"GET /nodes%2Fmx2/livez", []string{reads}, 403},
		{"GET /nodes/..%2F..%2Fmetrics", []string{reads}, 403},

		{"GET /metrics", []string{"Authorization: Bearer wrong", "Host: rebound.example.com"}, 421},
		{"POST " + unblock, []string{"Host: localhost.example.com"}, 421},
		{"POST http://rebound.example.com" + unblock, nil, 421},

		{"POST " + unblock, []string{changes, "Sec-Fetch-Site: cross-site"}, 403},
		{"POST " + unblock, []string{changes, "Origin: https://evil.example"}, 403},
	} {
		status, _, answer := s.sends(t, c.line, "", c.headers...)
		counts[c.want]++
		if status != c.want || strings.Contains(answer, token) || strings.Contains(answer, readToken) {
			t.Errorf("%s %q: %d %s", c.line, c.headers, status, answer)
		}
	}
	for _, route := range changingRoutes(t) {
		path := strings.NewReplacer("{", "", "}", "").Replace(route)
		if !strings.HasPrefix(path, "/") {
			path = prefix + path
		}
		status, _, answer := s.sends(t, "POST "+path, "", reads)
		if counts[403]++; status != 403 {
			t.Errorf("a reader sends POST %s: %d %s", path, status, answer)
		}
	}
	for kind, want := range map[Kind]float64{KindUnauthenticated: counts[401], KindForbidden: counts[403],
		KindMisdirected: counts[421]} {
		if got := testutil.ToFloat64(s.server.metrics.refused.WithLabelValues(string(kind))); got != want {
			t.Errorf("%v %s were counted, want %v", got, kind, want)
		}
	}
	s.untouched(t, "change requested")
}

// untouched fails if a part was asked for anything, or if the log has words or a token.
func (s *attacked) untouched(t *testing.T, words string) {
	t.Helper()
	if len(s.api.asked) > 0 {
		t.Errorf("asked: %q", s.api.asked)
	}
	for _, unwanted := range []string{words, token, readToken, "sesame"} {
		if text := s.log.String(); strings.Contains(text, unwanted) {
			t.Errorf("the log has %s: %s", unwanted, text)
		}
	}
}

// Even from somebody who may change things, nothing comes through that is not what the description says.
func TestMalformedRequests(t *testing.T) {
	testkit.NoLeaks(t)
	s := newAttacked(t, testkit.Listen(t))
	const move = "POST /api/v1/databases/db1/move"
	for _, c := range []struct {
		line, body string
		headers    []string
		want       int
	}{
		{move, `{"server":"sesame"`, nil, 400},
		{move, `{"server":1}`, nil, 422},
		{move, `{"server":"mbx2","password":"sesame"}`, nil, 422},
		{move, `[]`, nil, 422},
		{move, "\x00\xff", nil, 400},
		{move, strings.Repeat("[", maxBody-1), nil, 400},
		{move, `{"server":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413},
		{move, `<server>mbx2</server>`, []string{"Content-Type: text/xml"}, 415},
		{move + "?force=true", `{"server":"mbx2"}`, nil, 422},
		{"POST /api/v1/databases/db1/move/", `{"server":"mbx2"}`, nil, 404},
		{"POST /api/v1/databases/%2e%2e/move", `{"server":1}`, nil, 422},
		{"GET " + unblock, "", []string{"X-HTTP-Method-Override: POST"}, 405},
		{"POST /api/v1/servers", "", nil, 405},
		{"POST /metrics", "", nil, 405},
	} {
		status, _, answer := s.sends(t, c.line, c.body, append(c.headers, changes)...)
		if status != c.want || len(answer) > 1024 || strings.Contains(answer, token) {
			t.Errorf("%s %.30q: %d %.200s", c.line, c.body, status, answer)
		}
	}
	s.untouched(t, token)
}

// A name is what its part of the path says, decoded once, and a path that is not clean leads nowhere else.
func TestPathTricks(t *testing.T) {
	testkit.NoLeaks(t)
	s := newAttacked(t, testkit.Listen(t))
	for path, want := range map[string]string{
		"/api/v1/servers/a%2Fb/unblock":                "unblock a/b",
		"/api/v1/servers/%2e%2e%2f%2e%2e/unblock":      "unblock ../..",
		"/api/v1/servers/a%252Fb/unblock":              "unblock a%2Fb",
		"/api/v1/servers/mbx1%00/unblock":              "unblock mbx1\x00",
		"/api/v1/servers/%3Cscript%3E/unblock":         "unblock <script>",
		"/api/v1/servers/mbx1%2Funblock":               "", // one name, and no request
		"/api/v1/servers/../servers/mbx1/unblock":      "", // sent elsewhere: see below
		"/api/v1/servers/%2e%2e/servers/mbx1/unblock":  "",
		"//evil.example/api/v1/servers/mbx1/unblock":   "",
		"/\\evil.example/api/v1/servers/mbx1/unblock":  "",
		"/nodes/mx2/../../api/v1/servers/mbx1/unblock": "",
	} {
		s.api.asked = nil
		status, header, answer := s.sends(t, "POST "+path, "", changes)
		if got := strings.Join(s.api.asked, " "); got != want || (status == 200) != (want != "") {
			t.Errorf("%s: %d, asked %q, %s", path, status, got, answer)
		}
		if to := header.Get("Location"); strings.HasPrefix(to, "//") || strings.Contains(to, "\\") ||
			strings.Contains(to, "://") {
			t.Errorf("%s leads to %s", path, to)
		}
	}
}

// Hundreds of half requests keep nobody out, and are counted.
func TestHalfRequestsAreCounted(t *testing.T) {
	testkit.NoLeaks(t)
	s := newAttacked(t, testkit.Listen(t))
	const attackers = 200
	for range attackers {
		conn, err := net.Dial("tcp", s.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "POST "+unblock+" HTTP/1.1\r\nHost: localhost\r\n"+changes+"\r\nContent-Len")
	}
	if status, _, _ := s.sends(t, "GET /livez", "", reads); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if got := testutil.ToFloat64(s.server.metrics.displaced); got != attackers+1-maxConnections {
		t.Errorf("%v connections gave way", got)
	}
	s.untouched(t, "change requested")
}

// A request that comes slowly has as long as any other: 10 seconds for its head, and as many for all of it.
func TestSlowRequests(t *testing.T) {
	const head = "POST " + unblock + " HTTP/1.1\r\nHost: localhost\r\n" + changes + "\r\n"
	for name, begin := range map[string]string{"nothing": "", "a head": head + "X-Slow: ",
		"a body": head + "Content-Length: 60000\r\n\r\n{"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				ln := pipes{conns: make(chan net.Conn), done: ctx, close: cancel}
				api := &noted{}
				server, err := New(Options{Gatherer: prometheus.NewRegistry(), API: api.api(),
					Access: Access{Tokens: allTokens}})
				if err != nil {
					t.Fatal(err)
				}
				go server.Serve(ln)
				near, err := ln.dial(ctx, "", "")
				if err != nil {
					t.Fatal(err)
				}
				go io.Copy(io.Discard, near)
				started := time.Now()
				_, err = io.WriteString(near, begin)
				for n := 0; err == nil && n < 60; n++ { // a byte each second
					time.Sleep(time.Second)
					_, err = io.WriteString(near, " ")
				}
				if took := time.Since(started); took > readTimeout+2*time.Second || len(api.asked) > 0 {
					t.Errorf("it lasted %v; asked %q", took, api.asked)
				}
				near.Close()
				server.Shutdown(t.Context())
			})
		})
	}
}

// A stream ends soon after its sender may not have it any more: the token is withdrawn or has expired, also if the
// client does not read. It goes on as long as the token counts.
func TestStreamsEndWithTheirTokens(t *testing.T) {
	for name, lose := range map[string]func(s *Server, tokens []Token){
		"withdrawn": func(s *Server, _ []Token) { s.Reload(Access{KnownOnly: true}) },
		"expired": func(s *Server, tokens []Token) {
			tokens[0].Expires = time.Now().Add(-time.Second)
			s.Reload(Access{KnownOnly: true, Tokens: tokens})
		},
		"may do less": func(s *Server, tokens []Token) {
			tokens[0].May = MayNothing
			s.Reload(Access{KnownOnly: true, Tokens: tokens})
		},
	} {
		for _, path := range []string{PathEvents + "?path=" + PathSessions, "/nodes/mx2" + PathLogStream} {
			t.Run(name+" "+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { streamEnds(t, path, lose) })
			})
		}
	}
}

func streamEnds(t *testing.T, path string, lose func(s *Server, tokens []Token)) {
	ctx, cancel := context.WithCancel(t.Context())
	ln := pipes{conns: make(chan net.Conn), done: ctx, close: cancel}
	lasting := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	server, err := New(Options{Gatherer: prometheus.NewRegistry(), API: (&noted{}).api(),
		Access: Access{KnownOnly: true, Tokens: slices.Clone(allTokens)},
		Node:   func(string) (http.Handler, error) { return lasting, nil }})
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(ln)
	near, err := ln.dial(ctx, "", "")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan time.Time, 1)
	go func() {
		io.Copy(io.Discard, near)
		ended <- time.Now()
	}()
	fmt.Fprintf(near, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n\r\n", path, changes)
	time.Sleep(time.Minute)
	if len(ended) > 0 {
		t.Error("the stream ends though its token counts")
	}
	lost := time.Now()
	lose(server, slices.Clone(allTokens))
	time.Sleep(2 * judgeEach)
	if len(ended) == 0 {
		t.Error("the stream goes on")
	} else if took := (<-ended).Sub(lost); took > judgeEach {
		t.Errorf("it ended after %v", took)
	}
	near.Close()
	server.Shutdown(t.Context())
}
