package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"portico/cmd/portico/cli/top"
	"portico/health/admin"
	"portico/health/admin/client"
)

// What the keys of top do reaches Portico as the commands' requests do.
func TestTopActions(t *testing.T) {
	var asked string
	answers := map[string]string{
		admin.PathSessionsKick:                      `{"ended":2,"sessions":[]}`,
		admin.PathLogOn:                             `{"id":"r1"}`,
		admin.PathOf(admin.PathServerPause, "mbx1"): `{"what":"sign-ins to mbx1","was":"running","now":"paused"}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = r.URL.Path + " " + string(body)
		fmt.Fprint(w, answers[r.URL.Path])
	}))
	defer server.Close()
	source := topSource{client.New(server.URL, client.Credentials{})}
	for _, c := range []struct {
		action      top.Action
		asked, done string
	}{
		{top.Action{Kind: top.Kick, Session: "f0", User: "ann"},
			admin.PathSessionsKick + ` {"user":"ann","session":"f0"}`, "Sessions of ann ended: 2."},
		{top.Action{Kind: top.Kick, User: "ann"}, admin.PathSessionsKick + ` {"user":"ann"}`,
			"Sessions of ann ended: 2."},
		{top.Action{Kind: top.Log, User: "ann"}, admin.PathLogOn + ` {"user":"ann","for":600}`,
			"Logging for 10m0s: portico log show --user ann"},
		{top.Action{Kind: top.Pause, Server: "mbx1"},
			admin.PathOf(admin.PathServerPause, "mbx1") + ` {"seconds":60}`,
			"sign-ins to mbx1: was running, now paused."},
		{top.Action{Kind: top.Resume, Server: "mbx1"}, admin.PathOf(admin.PathServerPause, "mbx1") + ` {}`,
			"sign-ins to mbx1: was running, now paused."},
	} {
		done, err := source.Do(t.Context(), c.action)
		if err != nil || done != c.done || asked != c.asked {
			t.Errorf("%+v: %q, %v, asked %s", c.action, done, err, asked)
		}
	}
	server.Close()
	if _, err := source.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "no Portico answers") {
		t.Errorf("without an answer: %v", err)
	}
}
