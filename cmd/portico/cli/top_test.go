package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"portico/cmd/portico/cli/top"
	"portico/health/admin"
)

// What the keys of top do reaches Portico as the commands' requests do.
func TestTopActions(t *testing.T) {
	var asked string
	answers := map[string]string{
		admin.SitePath(admin.PathSessionsKick): nodes(t, `mx1:{"ended":2}`, `mx2:{"ended":1}`),
		admin.SitePath(admin.PathLogOn):        nodes(t, `mx1:{"id":"r1"}`, `mx2!unreachable:no answer`),
		admin.SitePath(admin.PathOf(admin.PathServerPause, "mbx1")): nodes(t,
			`mx1:{"what":"sign-ins to mbx1","was":"running","now":"paused"}`, `mx2!unreachable:no answer`),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = r.URL.Path + " " + string(body)
		fmt.Fprint(w, answers[r.URL.Path])
	}))
	defer server.Close()
	source := &topSource{api: &apiCommand{output: &output{}, admin: server.URL, notes: io.Discard, site: true}}
	for _, c := range []struct {
		action      top.Action
		asked, done string
	}{
		{top.Action{Kind: top.Kick, Session: "f0", User: "ann"},
			admin.SitePath(admin.PathSessionsKick) + ` {"user":"ann","session":"f0"}`, "Sessions of ann ended: 3."},
		{top.Action{Kind: top.Kick, User: "ann"}, admin.SitePath(admin.PathSessionsKick) + ` {"user":"ann"}`,
			"Sessions of ann ended: 3."},
		{top.Action{Kind: top.Log, User: "ann"}, admin.SitePath(admin.PathLogOn) + ` {"user":"ann","for":600}`,
			"Logging for 10m0s: portico log show --user ann. Not on mx2: no answer"},
		{top.Action{Kind: top.Pause, Server: "mbx1"},
			admin.SitePath(admin.PathOf(admin.PathServerPause, "mbx1")) + ` {"seconds":60}`,
			"sign-ins to mbx1: was running, now paused. Not on mx2: no answer"},
		{top.Action{Kind: top.Resume, Server: "mbx1"},
			admin.SitePath(admin.PathOf(admin.PathServerPause, "mbx1")) + ` {}`,
			"sign-ins to mbx1: was running, now paused. Not on mx2: no answer"},
	} {
		done, err := source.Do(t.Context(), c.action)
		if err != nil || done != c.done || asked != c.asked {
			t.Errorf("%+v: %q, %v, asked %s", c.action, done, err, asked)
		}
	}
	server.Close()
	if _, err := source.Read(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "no Portico answers") {
		t.Errorf("without an answer: %v", err)
	}
}

// Top shows all nodes of a site together, and says which is missing.
func TestTopOfSite(t *testing.T) {
	row := `{"name":"mbx1","sessions":2,"commands":4,"mean":0.1,"buckets":[{"index":-12,"count":4}]}`
	figures := `{"from":"2026-11-29T10:00:00Z","to":"2026-11-29T10:00:05Z","seconds":5,"rows":[` + row + `]}`
	missing := "mx3!unreachable:no answer within 2s"
	of := func(answer string) string { return nodes(t, "mx1:"+answer, "mx2:"+answer, missing) }
	site := &fakeSite{answers: map[string]string{
		"names":      `{"node":"mx1"}`,
		"site/stats": of(figures), "site/stats/series": of(`{"points":[` + figures + `]}`),
		"site/sessions": nodes(t, "mx1:["+session("a", "ann")+"]", "mx2:["+session("b", "bob")+"]", missing),
		"servers":       `[{"name":"mbx1","state":"up"}]`,
	}}
	status, out, errs := site.ask(t, "top", "--once", "-o", "json")
	if status != StatusBad || strings.Count(errs, "node mx3: no answer within 2s") != 1 {
		t.Errorf("status %d, %s", status, errs)
	}
	if got := strings.Join(site.asked, " "); strings.Count(got, "site/stats") != 3 || // figures change each 5 seconds
		strings.Count(got, "site/sessions") != 2 {
		t.Errorf("asked %s", got)
	}
	var shown top.Snapshot
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Trend.Points) != 1 || len(shown.Servers.Rows) != 1 || len(shown.Verbs.Rows) != 1 {
		t.Fatalf("%+v", shown)
	}
	if shown.Node != "mx1 and 1 other node" || shown.Servers.Rows[0].Sessions != 4 ||
		shown.Verbs.Rows[0].Commands != 8 || shown.Trend.Points[0].Total().Commands != 8 ||
		len(shown.Sessions) != 2 || shown.Sessions[1].Node != "mx2" {
		t.Errorf("%+v", shown)
	}
}
