package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"portico/health/admin"
)

// fakeSite is a Portico that answers each path, with its query, by a text. It writes down what it was asked.
type fakeSite struct {
	answers map[string]string
	mu      sync.Mutex // held while it answers: a command may ask several things at once
	asked   []string
}

// ask runs a command against the site, with what its standard output and standard error are to be.
func (f *fakeSite) ask(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	f.asked = nil
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asked = append(f.asked, strings.TrimPrefix(r.URL.RequestURI(), "/api/v1/")+string(body))
		answer, known := f.answers[strings.TrimPrefix(r.URL.Path, "/api/v1/")]
		if !known {
			admin.Refuse(w, admin.Of(admin.KindUnsupported, http.ErrNotSupported))
			return
		}
		io.WriteString(w, answer)
	}))
	defer server.Close()
	return command(append(args, "--admin", server.URL)...)
}

// nodes is the answer of a site. Each node is NAME:ANSWER or NAME!KIND:DETAIL.
func nodes(t *testing.T, all ...string) string {
	t.Helper()
	var site admin.SiteAnswer
	for _, text := range all {
		answer := admin.NodeAnswer{}
		if name, problem, ok := strings.Cut(text, "!"); ok {
			kind, detail, _ := strings.Cut(problem, ":")
			answer.Node, answer.Problem = name, &admin.Problem{Kind: admin.Kind(kind), Detail: detail}
		} else {
			name, value, _ := strings.Cut(text, ":")
			answer.Node, answer.Answer = name, json.RawMessage(value)
		}
		site.Nodes = append(site.Nodes, answer)
	}
	text, err := json.Marshal(site)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A session of these tests, as the API has it.
func session(id, user string) string {
	return `{"id":"` + id + `","user":"` + user + `","server":"mbx1"}`
}

// Results of several nodes name theirs, are sorted together, and end at the limit; a node without an answer is named.
func TestSessionsOfSite(t *testing.T) {
	const dead = "mx3!unreachable:no answer within 2s"
	site := &fakeSite{answers: map[string]string{"site/sessions": nodes(t,
		"mx1:["+session("1", "bob")+"]", "mx2:["+session("2", "ann")+","+session("3", "zoe")+"]", dead)}}
	status, out, errs := site.ask(t, "session", "list", "--limit", "2", "--server", "mbx1")
	if want := "" +
		"Session  Node  User  Server  Command  For  Waiting  Client\n" +
		"2        mx2   ann   mbx1    -        -    -        -\n" +
		"1        mx1   bob   mbx1    -        -    -        -\n"; out != want {
		t.Errorf("%s", out)
	}
	if status != StatusBad || errs != "portico: node mx3: no answer within 2s\n" {
		t.Errorf("%d %s", status, errs)
	}
	if got := strings.Join(site.asked, " "); got != "site/sessions?limit=2&server=mbx1&sort=User "+
		"site/service/generations" {
		t.Errorf("asked %s", got)
	}
	site.answers["site/service/generations"] = nodes(t, "mx1:[]", `mx2:[{"pid":7,"sessions":3,"silent":8}]`)
	if status, _, errs := site.ask(t, "session", "list"); status != StatusBad ||
		!strings.Contains(errs, "node mx2: process 7 has not answered for 8s: its 3 sessions may be missing here") {
		t.Errorf("%d %s", status, errs)
	}
	delete(site.answers, "site/service/generations")
	if _, out, _ := site.ask(t, "session", "list", "-o", "json"); !strings.Contains(out, `"node": "mx2"`) {
		t.Error(out)
	}
	site.answers["site/sessions"] = nodes(t, "mx1:["+session("1", "bob")+"]")
	status, out, errs = site.ask(t, "session", "list")
	if status != StatusFine || strings.Contains(out, "Node") || !strings.Contains(out, "bob") || errs != "" {
		t.Errorf("one node: %d %s%s", status, out, errs)
	}
	if _, out, _ := site.ask(t, "session", "list", "-o", "json"); strings.Contains(out, `"node"`) {
		t.Error(out)
	}
	site.answers["nodes/mx2/api/v1/sessions"] = "[" + session("2", "ann") + "]"
	site.answers["nodes/mx2"+admin.PathSessions] = site.answers["nodes/mx2/api/v1/sessions"]
	site.answers["/nodes/mx2"+admin.PathSessions] = site.answers["nodes/mx2/api/v1/sessions"]
	status, out, errs = site.ask(t, "session", "list", "--node", "mx2")
	if status != StatusFine || strings.Contains(out, "Node") || !strings.Contains(out, "ann") {
		t.Errorf("--node: %d %s%s", status, out, errs)
	}
}

// A name that one node knows is enough. If no node knows it, or all refuse the request, the error is that of the node
// that was asked; a lost node is still named.
func TestNamesOfSite(t *testing.T) {
	for _, c := range []struct {
		nodes  []string
		status int
		out    string
		errs   string
	}{
		{[]string{`mx1!unknown:there is no mailbox server "mbx1"`, "mx2:[" + session("2", "ann") + "]"}, StatusFine,
			"2        mx2   ann", ""},
		{[]string{`mx1!unknown:there is no mailbox server "mbx1"`, "mx2!unknown:nor here", "mx3!unreachable:dead"},
			StatusFailed, "", "portico: node mx3: dead\nportico: there is no mailbox server \"mbx1\"\n"},
		{[]string{"mx1!invalid:ip: bad", "mx2!invalid:ip: bad"}, StatusFailed, "",
			"portico: node mx2: ip: bad\nportico: ip: bad\n"},
		{[]string{"mx1:[]", "mx2!unsupported:the API has no /api/v1/sessions"}, StatusBad, "Session",
			"portico: node mx2: the API has no /api/v1/sessions\n"},
		{[]string{"mx1:[]", `mx2:{"other":"version"}`}, StatusBad, "Session",
			"portico: node mx2: it is another version of Portico: json: cannot unmarshal object"},
		{[]string{"mx1!failed:no", `mx2:[]`}, StatusBad, "Session", "portico: node mx1: no\n"},
	} {
		site := &fakeSite{answers: map[string]string{"site/sessions": nodes(t, c.nodes...)}}
		status, out, errs := site.ask(t, "session", "list", "--server", "mbx1")
		if status != c.status || !strings.Contains(out, c.out) || !strings.HasPrefix(errs, c.errs) ||
			c.errs == "" && errs != "" {
			t.Errorf("%q: %d %s%s", c.nodes, status, out, errs)
		}
	}
}

// A session that is not found while a node does not answer may be there: nobody says that it is not open.
func TestShowSessionOfSite(t *testing.T) {
	const id = "05c2907680677bf6"
	site := &fakeSite{answers: map[string]string{"site/sessions": nodes(t, "mx1:[]", "mx2:["+session(id, "ann")+"]")}}
	if status, out, errs := site.ask(t, "session", "show", id); status != StatusFine ||
		!strings.Contains(out, "Node     : mx2\n") {
		t.Errorf("%d %s%s", status, out, errs)
	}
	site.answers["site/sessions"] = nodes(t, "mx1:[]", "mx2!unreachable:dead")
	if status, out, errs := site.ask(t, "session", "show", id); status != StatusBad ||
		errs != "portico: node mx2: dead\n" {
		t.Errorf("%d %s%s", status, out, errs)
	}
	site.answers["site/sessions"] = nodes(t, "mx1:[]", "mx2:[]")
	if status, out, errs := site.ask(t, "session", "kill", id); status != StatusFailed ||
		!strings.Contains(errs, "is not open") {
		t.Errorf("%d %s%s", status, out, errs)
	}
}

// A user's sessions end on all nodes. A user whom the asked node does not know may be another node's.
func TestKickOnSite(t *testing.T) {
	site := &fakeSite{answers: map[string]string{
		"users/Ann/name":      `{"user":"Ann","standing":"unknown"}`,
		"site/users/Ann/name": nodes(t, `mx1:{"user":"Ann","standing":"unknown"}`, `mx2:{"user":"ann","standing":"known"}`),
		"site/sessions":       nodes(t, "mx1:[]", "mx2:["+session("2", "ann")+"]"),
		"site/sessions/kick": nodes(t, `mx1:{"ended":0,"sessions":[]}`,
			`mx2:{"ended":1,"sessions":[`+session("2", "ann")+`]}`, "mx3!unreachable:no answer within 15s"),
	}}
	status, out, errs := site.ask(t, "user", "kick", "Ann")
	if status != StatusBad || !strings.HasPrefix(out, "1 session ended.\n\nSession  Node") ||
		errs != "portico: node mx3: no answer within 15s\n" {
		t.Errorf("%d %s%s", status, out, errs)
	}
	if got := site.asked[len(site.asked)-1]; got != `site/sessions/kick{"user":"ann"}` {
		t.Errorf("asked %s", got)
	}
}

// Each node says where it finds a user; what several say is said once.
func TestWhereOnSite(t *testing.T) {
	at := func(server, signIn string) string {
		return `{"user":"ann","database":"db1","server":"` + server + `","sessions":1,"sign_in":` + signIn + `}`
	}
	const fine, down = `{"possible":true,"server_state":"up"}`, `{"possible":false,"reason":"mbx2 is down"}`
	site := &fakeSite{answers: map[string]string{"site/users/ann": nodes(t, "mx1:"+at("mbx1", fine),
		"mx2:"+at("mbx2", down), "mx3:"+at("mbx2", down))}}
	status, out, errs := site.ask(t, "user", "where", "ann")
	if status != StatusBad || strings.Count(out, "cannot sign in") != 1 || errs != "" ||
		!strings.Contains(out, "ann   mx1   db1       mbx1") ||
		!strings.Contains(out, "\nOn mx2, mx3:\nann cannot sign in: mbx2 is down.\n") {
		t.Errorf("%d %s%s", status, out, errs)
	}
	if _, out, _ := site.ask(t, "user", "where", "ann", "-o", "json"); !strings.HasPrefix(out, "[") {
		t.Error(out)
	}
	site.answers["site/users/ann"] = nodes(t, "mx1:"+at("mbx1", fine))
	if _, out, _ := site.ask(t, "user", "where", "ann", "-o", "json"); !strings.HasPrefix(out, "{") {
		t.Error(out)
	}
}

// The worst of each health set is shown, with the nodes on which it is as bad.
func TestReportOfSite(t *testing.T) {
	set := func(name, value string) string { return `{"health_set":"` + name + `","alert_value":"` + value + `"}` }
	site := &fakeSite{answers: map[string]string{"site/health/report": nodes(t,
		"mx1:["+set("IMAP", "Healthy")+","+set("IMAP.Proxy", "Degraded")+"]",
		"mx2:["+set("IMAP", "Healthy")+","+set("IMAP.Proxy", "Unhealthy")+"]",
		"mx3:["+set("IMAP.Proxy", "Unhealthy")+"]")}}
	status, out, errs := site.ask(t, "health", "report")
	if status != StatusBad || errs != "" || strings.Count(out, "\n") != 3 ||
		!strings.Contains(out, "IMAP        mx1,mx2  Healthy") ||
		!strings.Contains(out, "IMAP.Proxy  mx2,mx3  Unhealthy") {
		t.Errorf("%d %s%s", status, out, errs)
	}
	if _, out, _ := site.ask(t, "health", "report", "-o", "json"); strings.Count(out, `"node"`) != 5 {
		t.Error(out)
	}
}

// A rule's name is a node's own: off refuses one that is not the same everywhere.
func TestLogOnSite(t *testing.T) {
	rule := func(id, user string) string { return `{"id":"` + id + `","user":"` + user + `"}` }
	site := &fakeSite{answers: map[string]string{
		"site/names":     nodes(t, "mx1:{}"),
		"users/ann/name": `{"user":"ann","standing":"known"}`,
		"site/log/on":    nodes(t, "mx1:"+rule("r1", "ann"), "mx2!unreachable:dead"),
		"site/log":       nodes(t, `mx1:{"rules":[`+rule("r1", "ann")+`]}`, `mx2:{"rules":[`+rule("r1", "bob")+`]}`),
		"site/log/off":   nodes(t, `mx1:{"ended":1,"rules":[`+rule("r1", "ann")+`]}`, "mx2!unknown:there is no rule"),
	}}
	status, out, errs := site.ask(t, "log", "on", "--user", "ann")
	if status != StatusBad || !strings.Contains(out, "r1    mx1   user ann") || errs != ""+
		"portico: node mx2: dead\nportico: rule r1 on mx1 logs this already: only its end has changed\n" {
		t.Errorf("%d %s%s", status, out, errs)
	}
	status, out, errs = site.ask(t, "log", "off", "r1")
	if status != StatusFailed ||
		!strings.Contains(errs, "rule r1 is not the same on all nodes: user ann on mx1; user bob on mx2") {
		t.Errorf("%d %s%s", status, out, errs)
	}
	site.answers["site/log"] = nodes(t, `mx1:{"rules":[`+rule("r1", "ann")+`]}`, `mx2:{"rules":[]}`)
	if status, out, errs = site.ask(t, "log", "off", "r1"); status != StatusFine ||
		!strings.Contains(out, "rule r1  mx1   user ann  ended") {
		t.Errorf("%d %s%s", status, out, errs)
	}
	if status, out, errs = site.ask(t, "log", "status"); status != StatusFine ||
		!strings.Contains(out, "r1    mx1   user ann") || !strings.Contains(out, "\nmx2: 0 rows written") {
		t.Errorf("%d %s%s", status, out, errs)
	}
}

// A raw row of one node among several names its node.
func TestRowsOfNodes(t *testing.T) {
	for line, want := range map[string]string{
		"a,b,":           `a,b,,"m""x"`,
		`{"user":"ann"}`: `{"node":"m\"x","user":"ann"}`,
		"#Lost: 5 rows":  `#Lost: 5 rows of node m"x`,
		`{"lost":5}`:     `{"node":"m\"x","lost":5}`,
	} {
		if got := withNode(line, `m"x`); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// The rows of all nodes are shown together, oldest first, each with its node. A node whose rows are missing is named.
func TestLogShowOnSite(t *testing.T) {
	row := func(second, user string) string {
		return "2026-01-02T10:00:" + second + ".000Z,05c2907680677bf6,1,::1,::1," + user + ",3,0,0,noop,,R=ok,\n"
	}
	const head = "#Fields: dateTime\n"
	const there = "/nodes/mx2/api/v1/log/rows"
	site := &fakeSite{answers: map[string]string{
		"site/log": nodes(t, `mx1:{"rules":[]}`, `mx2:{"rules":[]}`, "mx3!unreachable:dead"),
		"log/rows": head + row("01", "ann") + row("04", "dan"),
		there:      head + row("02", "bob") + row("03", "carl"),
	}}
	status, out, errs := site.ask(t, "log", "show", "--slower", "1ms", "--utc", "--no-headers")
	if fields := strings.Fields(out); status != StatusBad || errs != "portico: node mx3: dead\n" ||
		strings.Count(out, "\n") != 4 || len(fields) < 4 {
		t.Errorf("%d %s%s", status, out, errs)
	}
	var order []string
	for line := range strings.Lines(out) {
		order = append(order, strings.Join(strings.Fields(line)[2:4], " "))
	}
	if got := strings.Join(order, ", "); got != "mx1 ann, mx2 bob, mx2 carl, mx1 dan" {
		t.Errorf("%s\n%s", got, out)
	}
	_, out, _ = site.ask(t, "log", "show", "--slower", "1ms", "-o", "csv")
	want := "#Fields: dateTime,node\n" + strings.TrimSuffix(row("01", "ann"), "\n") + ",mx1\n"
	if !strings.HasPrefix(out, want) || strings.Count(out, "#") != 1 || !strings.HasSuffix(out, ",mx1\n") {
		t.Error(out)
	}
	site.answers["log/rows"] = `{"dateTime":"2026-01-02T10:00:02.000Z","user":"ann"}` + "\n"
	site.answers[there] = `{"dateTime":"2026-01-02T10:00:01.000Z","user":"bob"}` + "\n"
	if _, out, _ = site.ask(t, "log", "show", "--slower", "1ms", "-o", "json"); !strings.HasPrefix(out,
		`{"node":"mx2","dateTime":"2026-01-02T10:00:01.000Z","user":"bob"}`+"\n"+`{"node":"mx1",`) {
		t.Error(out)
	}
	delete(site.answers, there) // the node does not have the request
	if status, out, errs = site.ask(t, "log", "show", "--slower", "1ms", "-o", "json"); status != StatusBad ||
		!strings.Contains(errs, "portico: node mx2: ") || strings.Count(out, "\n") != 1 {
		t.Errorf("%d %s%s", status, out, errs)
	}
}

// Penalties of all nodes are shown latest first, and cleared on all.
func TestPenaltiesOnSite(t *testing.T) {
	penalty := func(address, last string) string {
		return `{"address":"` + address + `","failures":1,"wait":2,"last":"2026-01-02T10:00:` + last + `Z"}`
	}
	all := nodes(t, "mx1:["+penalty("192.0.2.1/32", "03")+","+penalty("192.0.2.2/32", "01")+"]",
		"mx2:["+penalty("192.0.2.1/32", "02")+"]", "mx3!unreachable:dead")
	site := &fakeSite{answers: map[string]string{"site/penalties": all, "site/penalties/clear": all,
		"users/ann/name": `{"user":"ann","standing":"known"}`}}
	status, out, errs := site.ask(t, "penalty", "list")
	lines := strings.Split(out, "\n")
	if status != StatusBad || errs != "portico: node mx3: dead\n" || len(lines) != 5 ||
		!strings.HasPrefix(lines[0], "User  Node  Address") ||
		!strings.HasPrefix(lines[1], "-     mx1   192.0.2.1/32") ||
		!strings.HasPrefix(lines[2], "-     mx2   192.0.2.1/32") ||
		!strings.HasPrefix(lines[3], "-     mx1   192.0.2.2/32") {
		t.Errorf("%d %s%s", status, out, errs)
	}
	status, out, errs = site.ask(t, "penalty", "clear", "ann")
	if status != StatusBad || errs != "portico: node mx3: dead\n" ||
		!strings.HasPrefix(out, "3 penalties cleared.\n") ||
		strings.Count(out, "penalty list --ip 192.0.2.1/32") != 1 {
		t.Errorf("%d %s%s", status, out, errs)
	}
	if got := site.asked[len(site.asked)-1]; got != `site/penalties/clear{"user":"ann"}` {
		t.Errorf("asked %s", got)
	}
}

// Sign-ins are held on all nodes, and the answer of each is shown.
func TestPauseOnSite(t *testing.T) {
	change := `{"what":"sign-ins to mbx1","was":"running","now":"paused"}`
	site := &fakeSite{answers: map[string]string{"site/servers/mbx1/pause": nodes(t, "mx1:"+change, "mx2:"+change,
		"mx3!unreachable:dead")}}
	for _, args := range []string{"server pause mbx1 --for 1m", "server resume mbx1"} {
		status, out, errs := site.ask(t, strings.Fields(args)...)
		if status != StatusBad || errs != "portico: node mx3: dead\n" ||
			!strings.Contains(out, "sign-ins to mbx1  mx2   running  paused\n") {
			t.Errorf("%s: %d %s%s", args, status, out, errs)
		}
		_, out, _ = site.ask(t, append(strings.Fields(args), "-o", "name")...)
		if out != "mbx1\nmbx1\n" {
			t.Errorf("%s: names %s", args, out)
		}
	}
}
