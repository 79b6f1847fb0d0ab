package admin

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/protolog"
)

const readToken = "another-horse-battery"

// do sends a request and returns the status of its answer.
func (s *site) do(t *testing.T, method, path, token, body string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(testkit.Context(t), method, "http://localhost"+path,
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// With a token for reading, nobody reads over TCP without one, and it changes nothing.
func TestReadToken(t *testing.T) {
	testkit.NoLeaks(t)
	access := Access{Tokens: allTokens, KnownOnly: true}
	s := open(t, testkit.Listen(t), Options{Access: access, API: (&noted{}).api(),
		Node: func(string) (http.Handler, error) { return nil, Unknown(errors.New("no such node")) }}, nil)
	for _, c := range []struct {
		method, path, token string
		want                int
	}{
		{"GET", "/metrics", "", 401}, {"GET", "/metrics", "wrong", 401}, {"GET", "/api/v1/servers", readToken, 200},
		{"GET", "/metrics", readToken, 200},
		{"POST", "/api/v1/servers/mbx1/unblock", readToken, 403}, {"GET", "/nodes/mx2/livez", readToken, 403},
		{"POST", "/api/v1/servers/mbx1/unblock", "", 401},
		{"GET", "/livez", token, 200}, {"POST", "/api/v1/servers/mbx1/unblock", token, 200},
		{"GET", "/nodes/mx2/livez", token, 404},
	} {
		if got := s.do(t, c.method, c.path, c.token, ""); got != c.want {
			t.Errorf("%s %s with token %q: %d, want %d", c.method, c.path, c.token, got, c.want)
		}
	}
}

// Each token has a name of its own in the log, and counts until it expires. Only one that may change things can say for
// whom.
func TestNamedTokens(t *testing.T) {
	testkit.NoLeaks(t)
	var log testkit.Log
	named := func(name string, may Right, expires time.Time) Token {
		return Token{name, sha256.Sum256([]byte("token of " + name)), may, expires}
	}
	now := time.Now()
	s := open(t, testkit.Listen(t), Options{API: (&noted{}).api(), Log: zerolog.New(&log), Access: Access{
		Tokens: []Token{named("ann", MayChange, time.Time{}), named("bob", MayChange, now.Add(time.Hour)),
			named("old", MayChange, now.Add(-time.Second)), named("prometheus", MayRead, time.Time{}),
			{Name: "nothing", Hash: sha256.Sum256(nil), May: MayChange}}}}, nil)
	for token, want := range map[string]int{"token of ann": 200, "token of bob": 200, "token of old": 401,
		"token of prometheus": 403, "token of ": 401, "token of nobody": 401, " ": 401} {
		if got := s.do(t, "POST", "/api/v1/servers/mbx1/unblock", token, ""); got != want {
			t.Errorf("%q: %d, want %d", token, got, want)
		}
	}
	for who, words := range map[string]string{"token ann": "change requested", "token bob": "change requested",
		"expired token old": "change refused", "token prometheus": "change refused", "anybody": "change refused"} {
		if line := lineWith(log.String(), `"who":"`+who+`"`); !strings.Contains(line, words) {
			t.Errorf("%s: %q", who, line)
		}
	}
	if strings.Contains(log.String(), "token of ") {
		t.Errorf("a token is in the log: %s", log.String())
	}
}

// lineWith returns the first line that has words in it.
func lineWith(text, words string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, words) {
			return line
		}
	}
	return ""
}

// asUser runs f on a thread that has another user and group, as which f connects.
func asUser(t *testing.T, uid, gid int, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Log("only root can be somebody else: the test is the owner's own")
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		becomeForGood(uid, gid) // the thread ends with this goroutine
		f()
	}()
	<-done
}

// The socket is for its owner and root, and for the group that it is opened to, which may do what it is allowed to.
func TestSocketGroup(t *testing.T) {
	const member, stranger = 54321, 54322
	group, err := user.LookupGroupId("1")
	if err != nil {
		group, err = user.LookupGroupId("0")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, may := range []Right{MayRead, MayChange} {
		dir := t.TempDir()
		for _, open := range []string{dir, filepath.Dir(dir)} {
			if err := os.Chmod(open, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, "admin.sock")
		ln, err := ListenUnix(testkit.Context(t), path, group.Name)
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, ln, Options{Access: Access{SocketGroup: may}, API: (&noted{}).api()}, nil)
		if got := s.do(t, "POST", "/api/v1/servers/mbx1/unblock", "", ""); got != 200 {
			t.Errorf("the owner: %d", got)
		}
		gid := 1
		if group.Gid == "0" {
			gid = 0
		}
		asUser(t, member, gid, func() {
			if got, want := ask(t, path, "GET", "/api/v1/servers"), "200"; got != want {
				t.Errorf("a member reads: %s", got)
			}
			if got, want := ask(t, path, "POST", "/api/v1/servers/mbx1/unblock"), map[Right]string{MayRead: "403",
				MayChange: "200"}[may]; got != want {
				t.Errorf("a member changes: %s, want %s", got, want)
			}
		})
		asUser(t, stranger, stranger, func() {
			if got := ask(t, path, "GET", "/livez"); got != "permission denied" {
				t.Errorf("a stranger: %s", got)
			}
		})
	}
	if _, err := ListenUnix(testkit.Context(t), filepath.Join(t.TempDir(), "s"), "no such group"); err == nil {
		t.Error("a group that does not exist is taken")
	}
}

// remembering has servers and says what was there before.
type remembering struct{ noted }

func (r *remembering) SetPolicy(context.Context, string, string) (Change, error) {
	return Change{What: "policy", Was: "Unrestricted", Now: "Blocked"}, nil
}

func (r *remembering) Block(ctx context.Context, _ string, _ bool) ([]backend.MoveResult, error) {
	Changed(ctx, Difference{"hook", "admin.token", "sesame"}, Difference{"hook_password", "sesame", "sesame"})
	return []backend.MoveResult{}, nil
}

// Each change is in the log: who, from where, the values before and after, and no secret.
func TestChangesAreLogged(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	var log testkit.Log
	api := new(noted).api()
	api.Servers = &remembering{}
	options := Options{API: api, Log: zerolog.New(&log), Access: Access{Tokens: allTokens}}
	tcp := open(t, testkit.Listen(t), options, nil)
	path := filepath.Join(t.TempDir(), "admin.sock")
	ln, err := ListenUnix(testkit.Context(t), path, "")
	if err != nil {
		t.Fatal(err)
	}
	socket := open(t, ln, options, nil)
	socket.do(t, "POST", "/api/v1/servers/mbx1/policy", "", `{"Policy":"Blocked"}`)
	tcp.do(t, "POST", "/api/v1/databases/db1/move", token, `{"server":"mbx2","password":"sesame"}`)
	tcp.do(t, "POST", "/api/v1/servers/mbx1/block", token, `{"move":true}`)
	tcp.do(t, "GET", "/api/v1/servers", token, "")
	for _, words := range []string{
		`"who":"user ` + me.Username + `","from":"` + path + `, process `,
		`"request":"POST /api/v1/servers/mbx1/policy","status":200,"asked":{"Policy":"Blocked"},"what":"policy","old":"Unrestricted","new":"Blocked"`,
		`"who":"token admin.token","from":"127.0.0.1:`, `"asked":{"password":"*****","server":"mbx2"}`,
		`"asked":{"move":true},"old":{"activation on mbx1":"allowed","hook":"admin.token","hook_password":"*****"}`,
	} {
		if !strings.Contains(log.String(), words) {
			t.Errorf("the log has no %s: %s", words, log.String())
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 3 {
		t.Errorf("%d lines: %s", n, log.String())
	}
}

// watched is a protocol log that has places for as many as come.
type watched struct{ Log }

func (watched) Tail(protolog.Filter, protolog.Format) (*protolog.Tail, error) {
	return nil, protolog.ErrClosed
}

// Those who watch over TCP leave places to the socket.
func TestWatchersOverTCP(t *testing.T) {
	s := open(t, testkit.Listen(t), Options{API: API{Log: watched{}}}, nil)
	for _, by := range []string{"token ann", "token bob"} {
		for range maxRemoteWatchers / 2 {
			if !s.server.remote.take(by) {
				t.Errorf("%s has no half of the places", by)
			}
		}
	}
	s.server.remote.leave("token ann")
	if s.server.remote.take("token bob") {
		t.Error("one caller has more than half of the places")
	}
	if !s.server.remote.take("token ann") {
		t.Error("a place that is free is not given away")
	}
	if _, body, _ := s.get(t, "http", "localhost", PathLogStream, ""); !strings.Contains(body,
		protolog.ErrTooMany.Error()) {
		t.Errorf("one more over TCP: %s", body)
	}
	ln, err := ListenUnix(testkit.Context(t), filepath.Join(t.TempDir(), "admin.sock"), "")
	if err != nil {
		t.Fatal(err)
	}
	go s.server.Serve(ln)
	if got := ask(t, ln.Addr().String(), "GET", PathLogStream); got != "503" {
		t.Errorf("over the socket: %s", got)
	}
	s.server.remote.leave("token ann")
	if _, body, _ := s.get(t, "http", "localhost", PathLogStream, ""); !strings.Contains(body,
		protolog.ErrClosed.Error()) {
		t.Errorf("with a place: %s", body)
	}
}

// What another node says of who asks is bounded, and nothing in it breaks a line or a list.
func TestBehalf(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := behalf(r); got != "" {
		t.Errorf("%q", got)
	}
	r.Header[behalfHeader] = []string{"user a,b\x00\x7f" + strings.Repeat("x", 1000) + "\xc3"}
	if got := behalf(r); got != " for user a?b??"+strings.Repeat("x", maxBehalf-len("user a,b..")) {
		t.Errorf("%q", got)
	}
}
