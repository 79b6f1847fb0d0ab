package node

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/health/admin"
)

// repeated is a change that is sent twice. First and second are words of the answers; where they are missing, second
// is a Change from a value to the same one.
var repeated = []struct{ id, path, body, first, second string }{
	{"kick-user", "users/alice/kick", "", `"ended":1`, `"ended":0`},
	{"block-server", "servers/mbx2/block", `{"move":true}`, `"database":"db2"`, `[]`},
	{"unblock-server", "servers/mbx2/unblock", "", `"was":"blocked"`, ""},
	{"set-server-policy", "servers/mbx2/policy", `{"policy":"Blocked"}`, `"was":"Unrestricted"`, ""},
	{"set-server-policy", "servers/mbx2/policy", `{"policy":"Unrestricted"}`, `"was":"Blocked"`, ""},
	{"pause-server", "servers/mbx1/pause", `{"seconds":60}`, `"was":"admitted"`, `"now":"held for 1m0s, 0 waiting"`},
	{"pause-server", "servers/mbx1/pause", `{"seconds":0}`, `"was":"held for`, ""},
	{"start-canary", "canaries/v2/start", `{"database":"db1","server":"mbx2","percent":5}`, `"was":"none"`, ""},
	{"set-canary", "canaries/v2/set", `{"percent":10}`, `"now":"10 % of db1 on mbx2"`, ""},
	{"stop-canary", "canaries/v2/stop", "", `"now":"none"`, ""},
	{"move-database", "databases/db1/move", `{"server":"mbx2"}`, `"was":"mbx1"`, ""},
	{"rebalance", "rebalance", "", `"from":"mbx2","to":"mbx1"`, `[]`},
	{"resume-copy", "databases/db1/resume", `{"server":"mbx1"}`, `"was_failed":false`, `"was_failed":false`},
	{"kick-sessions", "sessions/kick", `{"user":"alice"}`, `"ended":0`, `"ended":0`},
	{"move-user", "users/alice/move", `{"database":"db2"}`, `"moved":true`, `"database":"db2"`},
	{"change-settings", "settings", `{"set":{"banner":"Hello"}}`, `"value":"Hello","was":`,
		`"value":"Hello","source":"stored"`},
	{"change-settings", "settings", `{"reset":["banner"]}`, `"was":"Hello"`, `"name":"banner"`},
	{"clear-penalties", "penalties/clear", `{"user":"alice"}`, `[]`, `[]`},
	{"begin-log-rule", "log/on", `{"user":"alice","for":60}`, `"id":"r1"`, `"id":"r1"`},
	{"begin-log-rule", "log/on", `{"user":"alice"}`, `"id":"r1"`, `"id":"r1"`},
	{"end-log-rules", "log/off", `{"id":"r1"}`, `"ended":1`, `"ended":0`},
	{"end-log-rules", "log/off", "", `"ended":0`, `"ended":0`}, // so there was one rule
	{"change-site", "site/log/on", `{"user":"alice","for":60}`, `"id":"r1"`, `"id":"r1"`},
	{"change-site", "site/log/off", "", `"ended":1`, `"ended":0`},
	{"set-repairing", "health/repairing", `{"monitor":"IMAP.Protocol/ImapSelfTestMonitor/mbx1","on":true}`, `"now":"Repairing"`,
		""},
	{"add-override", "overrides/add", `{"identity":"IMAP/RequestsQueuedGt500Check","item_type":"Probe","property_name":"Enabled",` +
		`"property_value":"0"}`, `"was":"(no override)"`, ""},
	{"remove-override", "overrides/remove", `{"identity":"IMAP/RequestsQueuedGt500Check","item_type":"Probe",` +
		`"property_name":"Enabled"}`, `"was":"0"`, ""},
	{"set-component", "components", `{"component":"ImapProxy","requester":"Functional","state":"Inactive"}`,
		`"was":"Active"`, ""},
	{"set-component", "components", `{"component":"ImapProxy","requester":"Functional","state":"Active"}`,
		`"was":"Inactive"`, ""},
	{"start-server-maintenance", "servers/mbx2/maintenance/start", "", `"was":"allowed","result":"blocked"`,
		`"was":"blocked","result":"blocked"`},
	{"stop-server-maintenance", "servers/mbx2/maintenance/stop", "", `"result":"allowed"`, `[]`},
	{"start-maintenance", "maintenance/start", "", `"was":"Active","result":"Inactive"`,
		`"was":"Inactive","result":"Inactive"`},
	{"stop-maintenance", "maintenance/stop", "", `"was":"Inactive","result":"Active"`, `[]`},
	{"recover", "recovery", `{"action":"failover","server":"mbx1"}`, `"result":"Succeeded"`, `"result":"S`},
	{"recover", "recovery", `{"action":"failover","server":"mbx1","lift":true}`, `"result":"Succeeded"`, `"result":"S`},
	{"plan-config", "config/plan", "", `"changes":[]`, `"changes":[]`},
	{"apply-config", "config/apply", "", `"result":"started","in_force":true`, `"result":"started","in_force":true`},
	{"roll-back-config", "config/rollback", `{"number":1}`, `"number":1`, `"number":1`},
	{"write-bundle", "bundle", "", `"bundle":"`, `"bundle":"`}, // another file each time
	{"back-up-store", "store/backup", "", `"file":"`, `"file":"`},
	{"run-probe", "/probes/IMAP.Protocol/ImapSelfTestProbe", "", `"ImapSelfTestProbe/mbx1"`,
		`"result_name":"ImapSelfTestProbe/mbx1"`},
}

// Each change that is sent twice has the effect of one, and no error. A new change needs a row.
func TestChangesMayBeSentTwice(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	first := site.server
	site.serveMail(t)
	file := site.write(t, "routing: hash\n")
	site.replace(t, "mailbox_servers: {", fmt.Sprintf("mailbox_servers: {mbx2: {address: %q, tls: none}, ", first))
	site.replace(t, "{db1: {copies: [mbx1]}}",
		"{db1: {copies: [mbx1, mbx2], interchangeable: true}, db2: {copies: [mbx2, mbx1]}}")
	r := site.serve(t, file)
	r.signIn(t)
	missing := r.changes(t)
	for _, c := range repeated {
		path := c.path
		if !strings.HasPrefix(path, "/") {
			path = "/api/v1/" + path
		}
		var answers [2]string
		for i := range answers {
			status, _, answer := r.send(t, http.MethodPost, path, c.body, nil)
			if answers[i] = answer; status != http.StatusOK {
				t.Errorf("%s %s: %d %s", c.id, c.body, status, answer)
			}
		}
		if !strings.Contains(answers[0], c.first) {
			t.Errorf("%s %s: %s, want %s", c.id, c.body, answers[0], c.first)
		}
		var change admin.Change
		if err := json.Unmarshal([]byte(answers[1]), &change); c.second == "" && (err != nil || change.What == "" ||
			change.Was != change.Now) || !strings.Contains(answers[1], c.second) {
			t.Errorf("%s %s again: %s, want %q", c.id, c.body, answers[1], c.second)
		}
		delete(missing, c.id)
	}
	delete(missing, "upgrade")     // each one is another process: TestUpgradesUnderLoad sends several
	delete(missing, "remove-node") // of a cluster, as in TestNodesOfACluster
	for id, path := range missing {
		t.Errorf("no row for %s, %s", id, path)
	}
}

// changes are the requests of the description that change something: their paths, by name.
func (r *running) changes(t *testing.T) map[string]string {
	t.Helper()
	var described struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	_, body := r.get(t, admin.PathDescription)
	if err := json.Unmarshal([]byte(body), &described); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for path, methods := range described.Paths {
		for method, operation := range methods {
			if method != "get" {
				all[operation.OperationID] = path
			}
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d changes are found", len(all))
	}
	return all
}

// A change that names the state that it was decided on is made only in that state.
func TestSettingsIfMatch(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	set := func(want int, ifMatch, banner string) (tag string) {
		t.Helper()
		header := http.Header{}
		if ifMatch != "" {
			header.Set("If-Match", ifMatch)
		}
		status, answered, answer := r.send(t, http.MethodPost, admin.PathSettings,
			fmt.Sprintf(`{"set":{"banner":%q}}`, banner), header)
		if status != want || want == http.StatusPreconditionFailed && !strings.Contains(answer, `"kind":"stale"`) {
			t.Errorf("If-Match %s: %d %s", ifMatch, status, answer)
		}
		return answered.Get("ETag")
	}
	tag := func() string {
		t.Helper()
		_, header, _ := r.send(t, http.MethodGet, admin.PathSettings, "", nil)
		return header.Get("ETag")
	}
	read := tag()
	if read == "" || read != tag() {
		t.Errorf("ETag is %s, then %s", read, tag())
	}
	ann := set(http.StatusOK, read, "of Ann")
	set(http.StatusPreconditionFailed, read, "of Bob") // who has read what Ann has
	r.banner(t, "of Ann")
	if ann != tag() {
		t.Errorf("the answer has ETag %s, a read %s", ann, tag())
	}
	set(http.StatusOK, `"0", `+ann, "of Bob")
	set(http.StatusPreconditionFailed, "W/"+tag(), "weak")
	set(http.StatusOK, "*", "of Carl")
	set(http.StatusOK, "", "of Dora")
	r.banner(t, "of Dora")
	read = tag()
	site.replace(t, "loops: 2", "loops: 2\nsettings: {max_connections: 99}") // the file is edited too
	if err := r.reload(); err != nil {
		t.Fatal(err)
	}
	set(http.StatusPreconditionFailed, read, "of Emil")
}
