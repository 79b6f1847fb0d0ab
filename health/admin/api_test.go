package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"portico/backend"
	"portico/proxy"
	"portico/proxy/relay"
)

// noted has all parts of the API but those of health, and writes down what it was asked.
type noted struct{ asked []string }

// api returns the parts.
func (n *noted) api() API {
	return API{Node: n, Servers: n, Databases: n, Users: n, Sessions: n, Settings: n, Penalties: n}
}

func (n *noted) note(format string, args ...any) {
	n.asked = append(n.asked, fmt.Sprintf(format, args...))
}

func (n *noted) Servers(context.Context) []MailboxServer {
	return []MailboxServer{{Name: "mbx1", Active: 2}}
}
func (n *noted) Databases(context.Context) []Copy {
	return []Copy{{CopyState: backend.CopyState{Database: "db1", Server: "mbx1", Active: true}}}
}
func (n *noted) Block(_ context.Context, server string, move bool) ([]backend.MoveResult, error) {
	n.note("block %s %v", server, move)
	if server == "none" {
		return nil, NoSuch("mailbox server", server, []string{"mbx1", "mbx2"})
	}
	return []backend.MoveResult{{Database: "db1", From: server, To: "mbx2"}}, nil
}
func (n *noted) Unblock(_ context.Context, server string) (Change, error) {
	n.note("unblock %s", server)
	return Change{}, nil
}
func (n *noted) SetPolicy(_ context.Context, server, policy string) (Change, error) {
	n.note("policy %s %s", server, policy)
	return Change{}, nil
}
func (n *noted) Pause(_ context.Context, server string, d time.Duration) (Change, error) {
	n.note("pause %s %v", server, d)
	return Change{}, nil
}
func (n *noted) Bundle(context.Context) (string, error) { return "/bundle.tar", nil }
func (n *noted) Blocked(string) bool                    { return false }
func (n *noted) Names() Names                           { return Names{Servers: []string{"mbx1"}} }
func (n *noted) Named(_ context.Context, typed string) (UserName, error) {
	n.note("name %s", typed)
	return UserName{User: typed, Standing: StandingKnown}, nil
}
func (n *noted) Penalties(_ context.Context, which PenaltyFilter) ([]proxy.AuthDelay, error) {
	n.note("penalties %v", which)
	return nil, nil
}
func (n *noted) ClearPenalties(_ context.Context, which PenaltyFilter) ([]proxy.AuthDelay, error) {
	n.note("clear %v", which)
	return nil, nil
}
func (n *noted) MoveUser(_ context.Context, user, database string) (UserLocation, error) {
	n.note("move user %s %s", user, database)
	return UserLocation{User: user, Database: database, Server: "mbx1", Moved: true}, nil
}
func (n *noted) MoveDatabase(_ context.Context, database, server string, force bool) (Change, error) {
	n.note("move %s %s %v", database, server, force)
	return Change{}, errors.New("it is blocked there")
}
func (n *noted) ResumeCopy(_ context.Context, database, server string) (bool, error) {
	n.note("resume %s %s", database, server)
	return true, nil
}
func (n *noted) Rebalance(context.Context) ([]backend.MoveResult, error) {
	n.note("rebalance")
	return []backend.MoveResult{}, nil
}

func (n *noted) Sessions(context.Context) []proxy.Session {
	return []proxy.Session{{ID: "2", User: "bob"}, {ID: "1", User: "ann", Server: "mbx1",
		Remote: netip.MustParseAddrPort("192.0.2.1:9"), Carried: relay.Carried{Silent: 2500 * time.Millisecond}}}
}
func (n *noted) Slow(context.Context) []proxy.SlowCommand {
	return []proxy.SlowCommand{{Ended: time.Unix(0, 0), Verb: "NOOP", Took: 1500 * time.Millisecond, Result: "ok",
		Session: proxy.Session{User: "ann"}}}
}
func (n *noted) Where(_ context.Context, user string) (UserLocation, error) {
	n.note("where %s", user)
	return UserLocation{User: user, Server: "mbx1"}, nil
}
func (n *noted) Settings(context.Context) ([]SettingState, error) {
	return []SettingState{{Name: "banner", Value: "Hi", Source: "stored", File: "Ho"}}, nil
}
func (n *noted) ChangeSettings(_ context.Context, c SettingsChange, _ func([]SettingState) error) ([]SettingState,
	error) {
	n.note("set %v reset %v %v", c.Set, c.Reset, c.ResetAll)
	return []SettingState{}, nil
}
func (n *noted) Kick(_ context.Context, which SessionFilter) ([]proxy.Session, error) {
	n.note("kick %v", which)
	return make([]proxy.Session, 3), nil
}

// problemText is a Problem as the API sends it.
func problemText(kind Kind, status int, detail string) string {
	problem := newProblem(kind, detail).Problem
	problem.Status = status
	text, _ := json.Marshal(problem)
	return string(text)
}

func TestAPI(t *testing.T) {
	const unchanged = `{"what":"","was":"","now":""}`
	session := `{"id":"","user":"","remote":"invalid AddrPort","listener":"","server":"","commands":0,"open":0,"idling":false,"oldest":0,"silent":0}`
	kicked3 := `{"ended":3,"sessions":[` + strings.Join([]string{session, session, session}, ",") + `]}`
	for _, test := range []struct {
		method, path, body string
		status             int
		answer, asked      string
	}{
		{"GET", "servers", "", 200,
			`[{"name":"mbx1","state":"up","up":true,"breaker_open":false,"policy":"","blocked":false,"active":2}]`, ""},
		{"GET", "databases", "", 200,
			`[{"database":"db1","server":"mbx1","status":"Mounted","active":true,"blocked":false}]`, ""},
		{"GET", "sessions", "", 200,
			`[{"id":"1","user":"ann","remote":"192.0.2.1:9","listener":"","server":"mbx1","commands":0,"open":0,"idling":false,"oldest":0,"silent":2.5},` +
				strings.Replace(strings.Replace(session, `"id":""`, `"id":"2"`, 1), `"user":""`, `"user":"bob"`, 1) + `]`, ""},
		{"GET", "slow", "", 200,
			`[{"ended":"1970-01-01T00:00:00Z","command":"NOOP","seconds":1.5,"result":"ok","server":"","user":"ann","session":"","remote":"invalid AddrPort"}]`, ""},
		{"GET", "sessions?user=zoe", "", 200, `[]`, ""},
		{"GET", "sessions?server=mbx9", "", 404,
			problemText(KindUnknown, 404, `there is no mailbox server "mbx9"; known: mbx1`), ""},
		{"GET", "sessions?ip=mbx1", "", 400,
			problemText(KindInvalid, 400, `ip: "mbx1" is neither an address nor a network such as 192.0.2.0/24`), ""},
		{"GET", "sessions?where=Usr+-eq+1", "", 400,
			problemText(KindInvalid, 400, "where: there is no field Usr; did you mean User?"), ""},
		{"GET", "sessions?where=Server+-eq+mbx9", "", 404,
			problemText(KindUnknown, 404, `where: there is no mailbox server "mbx9"; known: mbx1`), ""},
		{"GET", "sessions?sort=Usr", "", 400,
			problemText(KindInvalid, 400, "sort: there is no field Usr; did you mean User?"), ""},
		{"GET", "slow?from=1970-01-01T00:00:01Z", "", 200, `[]`, ""},
		{"GET", "slow?command=NOPE", "", 404, problemText(KindUnknown, 404, `there is no command "NOPE"`), ""},
		{"GET", "users/ann@example.org", "", 200, `{"user":"ann@example.org","server":"mbx1","sessions":0}`,
			"where ann@example.org"},
		{"GET", "settings", "", 200, `[{"name":"banner","value":"Hi","source":"stored","file":"Ho"}]`, ""},
		{"POST", "settings", `{"set":{"banner":"Hi"},"reset":["login_type"]}`, 200, `[]`,
			"set map[banner:Hi] reset [login_type] false"},
		{"POST", "servers/mbx1/policy", `{"policy":"Blocked"}`, 200, unchanged, "policy mbx1 Blocked"},
		{"POST", "servers/mbx1/pause", `{"seconds":1.5}`, 200, unchanged, "pause mbx1 1.5s"},
		{"POST", "users/ann/move", `{"database":"db2"}`, 200,
			`{"user":"ann","database":"db2","server":"mbx1","moved":true,"sessions":0}`, "move user ann db2"},
		{"GET", "users/a%2Fb/name", "", 200, `{"user":"a/b","standing":"known"}`, "name a/b"},
		{"GET", "names", "", 200,
			`{"node":"","nodes":null,"servers":["mbx1"],"databases":null,"blocked":null,"commands":null}`, ""},
		{"GET", "penalties?user=ann&ip=::1", "", 200, `[]`, "penalties {ann ::1 false}"},
		{"GET", "penalties", "", 200, `[]`, "penalties {  true}"},
		{"POST", "penalties/clear", `{"user":"ann"}`, 200, `[]`, "clear {ann  false}"},
		{"POST", "sessions/kick", `{"ip":"::1"}`, 200, kicked3, "kick {  ::1 }"},
		{"POST", "users/a%2Fb/kick", "", 200, kicked3, "kick {a/b   }"},
		{"POST", "servers/mbx1/block", `{"move":true}`, 200, `[{"database":"db1","from":"mbx1","to":"mbx2"}]`,
			"block mbx1 true"},
		{"POST", "servers/mbx1/block", "", 200, `[{"database":"db1","from":"mbx1","to":"mbx2"}]`, "block mbx1 false"},
		{"POST", "servers/none/block", "{}", 404,
			problemText(KindUnknown, 404, `there is no mailbox server "none"; known: mbx1, mbx2`), "block none false"},
		{"POST", "servers/a%2Fb/unblock", "{}", 200, unchanged, "unblock a/b"},
		{"POST", "databases/db1/move", `{"server":"mbx2"}`, 409, problemText(KindRefused, 409, "it is blocked there"),
			"move db1 mbx2 false"},
		{"POST", "rebalance", "{}", 200, `[]`, "rebalance"},
		{"POST", "rebalance", `{"sever":1}`, 422,
			problemText(KindInvalid, 422, "read the request: body.sever: unexpected property"), ""},
		{"POST", "rebalance", `{`, 400,
			problemText(KindInvalid, 400, "read the request: body: unexpected end of JSON input"), ""},
		{"GET", "penalties?usr=ann", "", 422,
			problemText(KindInvalid, 422, "read the request: query.usr: unknown query parameter"), ""},
		{"POST", "databases/db1/move", `{"server":"` + strings.Repeat("x", 1<<20) + `"}`, 413,
			problemText(KindInvalid, 413, "read the request: request body is too large limit=65536 bytes"), ""},
		{"GET", "servers/mbx1/block", "", 405, "Method Not Allowed", ""},
		{"POST", "servers", "", 405, "Method Not Allowed", ""},
	} {
		control := &noted{}
		mux := http.NewServeMux()
		control.api().routes(mux)
		recorder := httptest.NewRecorder()
		mux.ServeHTTP(recorder, httptest.NewRequest(test.method, "/api/v1/"+test.path, strings.NewReader(test.body)))
		answer, _ := io.ReadAll(recorder.Body)
		if recorder.Code != test.status || strings.TrimSpace(string(answer)) != test.answer ||
			strings.Join(control.asked, " ") != test.asked {
			t.Errorf("%s %s %.40s: %d %s, asked %q", test.method, test.path, test.body, recorder.Code, answer,
				control.asked)
		}
	}
}
