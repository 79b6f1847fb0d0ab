package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/health"
	"portico/health/components"
	"portico/health/maintenance"
	"portico/health/recovery"
	"portico/protolog"
	"portico/proxy"
)

// changing is a site on which each change succeeds.
type changing struct {
	noted
	Log
	Store
	blocked       []string
	settings      []SettingState
	configuration int // number of the one in force
}

// changingMonitors are the monitors of that site.
type changingMonitors struct{ monitors }

type monitors interface{ Monitors }

func (changingMonitors) SetRepairing(context.Context, string, bool) (Change, error) { return went, nil }

var went = Change{What: "x", Was: "before", Now: "after"}

func (c *changing) api() API {
	return API{Node: c, Servers: c, Databases: c, Users: c, Canaries: c, Sessions: c, Settings: c, Penalties: c,
		Monitors: changingMonitors{}, Overrides: c, Components: c, Recovery: c, Maintenance: c, Log: c,
		Store: c, Service: c, Cluster: c, Configurations: c}
}

func (c *changing) Canaries(string) []Canary { return nil }
func (c *changing) StartCanary(context.Context, string, CanaryStart) (Change, error) {
	return went, nil
}
func (c *changing) SetCanary(context.Context, string, CanarySet) (Change, error) { return went, nil }
func (c *changing) StopCanary(context.Context, string) (Change, error)           { return went, nil }

func (c *changing) Blocked(server string) bool { return slices.Contains(c.blocked, server) }
func (c *changing) Block(_ context.Context, server string, _ bool) ([]backend.MoveResult, error) {
	c.blocked = append(c.blocked, server)
	return []backend.MoveResult{{Database: "db1", From: server, To: "mbx2"},
		{Database: "db2", From: server, Err: errors.New("no copy")}}, nil
}
func (c *changing) Unblock(context.Context, string) (Change, error)           { return went, nil }
func (c *changing) SetPolicy(context.Context, string, string) (Change, error) { return went, nil }
func (c *changing) Pause(context.Context, string, time.Duration) (Change, error) {
	return went, nil
}
func (c *changing) MoveDatabase(context.Context, string, string, bool) (Change, error) {
	return went, nil
}
func (c *changing) MoveUser(ctx context.Context, user, database string) (UserLocation, error) {
	Changed(ctx, Difference{"database of " + user, "db1", database})
	return UserLocation{User: user, Database: database}, nil
}
func (c *changing) Rebalance(context.Context) ([]backend.MoveResult, error) {
	return []backend.MoveResult{{Database: "db1", From: "mbx1", To: "mbx2"}}, nil
}
func (c *changing) Settings(context.Context) ([]SettingState, error) { return c.settings, nil }
func (c *changing) ChangeSettings(_ context.Context, _ SettingsChange,
	check func([]SettingState) error) ([]SettingState, error) {
	if err := check(c.settings); err != nil {
		return nil, err
	}
	states := []SettingState{{Name: "banner", Value: "Ho", Source: "file"}, {Name: "hook_password", Value: "sesame"}}
	for range 100 {
		states = append(states, SettingState{Name: "long", Value: "a setting that makes the answer long"})
	}
	return states, nil
}
func (c *changing) Kick(context.Context, SessionFilter) ([]proxy.Session, error) {
	return slices.Repeat([]proxy.Session{{ID: "0123456789abcdef", User: "ann",
		Remote: netip.MustParseAddrPort("192.0.2.1:9"), Server: "mbx1"}}, 100), nil
}
func (c *changing) ClearPenalties(context.Context, PenaltyFilter) ([]proxy.AuthDelay, error) {
	return []proxy.AuthDelay{{User: "ann", Failures: 7}}, nil
}
func (c *changing) SetComponent(context.Context, components.Request) (Change, error) {
	return went, nil
}
func (c *changing) AddOverride(context.Context, health.Override) (Change, error)    { return went, nil }
func (c *changing) RemoveOverride(context.Context, health.Override) (Change, error) { return went, nil }
func (c *changing) Overrides() []health.Override                                    { return nil }
func (c *changing) Components() []components.State                                  { return nil }
func (c *changing) Recovery() RecoveryState                                         { return RecoveryState{} }
func (c *changing) Maintenance() []MaintenanceRow                                   { return nil }
func (c *changing) Recover(context.Context, RecoveryRequest) (recovery.Record, error) {
	return recovery.Record{ID: "RestartService", Resource: "mbx1", Result: recovery.ResultSucceeded}, nil
}
func (c *changing) StartMaintenance(context.Context, string, time.Duration) ([]maintenance.Step, error) {
	return []maintenance.Step{{What: "activation", Was: "allowed", Result: "blocked", Done: true}}, nil
}
func (c *changing) StopMaintenance(context.Context, string) ([]maintenance.Step, error) {
	return []maintenance.Step{{What: "activation", Was: "blocked", Result: "allowed", Done: true}}, nil
}
func (c *changing) Backup(context.Context) (StoreCopy, error) {
	return StoreCopy{File: "/backups/one"}, nil
}
func (c *changing) Cluster(context.Context) (ClusterState, error) { return ClusterState{}, nil }
func (c *changing) RemoveNode(_ context.Context, name string, _ RemoveNodeRequest) (ClusterNode, error) {
	return ClusterNode{Name: name, State: NodeAbsent}, nil
}
func (c *changing) Generations(context.Context) []Generation { return nil }
func (c *changing) Upgrade(context.Context, string, time.Duration) (Generation, error) {
	return Generation{PID: 7, Serving: true}, nil
}
func (c *changing) Diff(context.Context) (ConfigDiff, error)            { return ConfigDiff{}, nil }
func (c *changing) Plan(context.Context, Candidate) (ConfigPlan, error) { return ConfigPlan{}, nil }
func (c *changing) Apply(context.Context, Candidate) (ConfigRecord, error) {
	c.configuration++
	return ConfigRecord{Number: c.configuration}, nil
}
func (c *changing) Rollback(context.Context, int) (ConfigRecord, error) {
	c.configuration--
	return ConfigRecord{Number: c.configuration}, nil
}
func (c *changing) History(context.Context) []ConfigRecord {
	return []ConfigRecord{{Number: 9}, {Number: c.configuration, InForce: true}}
}
func (c *changing) Text(context.Context, int) (string, error) { return "", nil }

func (c *changing) Status() protolog.Status { return protolog.Status{} } // a new rule is not in effect yet
func (c *changing) On(context.Context, protolog.Filter, time.Duration) (was *protolog.Rule, now protolog.Rule,
	err error) {
	return nil, protolog.Rule{ID: "r1", Filter: protolog.Filter{User: "ann"}}, nil
}
func (c *changing) Off(context.Context, string) ([]protolog.Rule, error) {
	return []protolog.Rule{{ID: "r1", Filter: protolog.Filter{User: "ann"}}}, nil
}

// Each request that changes something has a line in the log with the value before and the value after, and no secret.
// A new request needs a row here.
func TestEachChangeHasOldAndNew(t *testing.T) {
	const general = `"what":"x","old":"before","new":"after"`
	lines := map[string]string{
		"servers/{name}/block": `"old":{"activation on mbx1":"allowed","active copy of db1":"mbx1","active copy of db2":"mbx1"},` +
			`"new":{"activation on mbx1":"blocked","active copy of db1":"mbx2","active copy of db2":"mbx1"}`,
		"servers/{name}/unblock":           general,
		"servers/{name}/policy":            general,
		"servers/{name}/pause":             general,
		"users/{name}/move":                `"old":{"database of mbx1":"db1"},"new":{"database of mbx1":""}`,
		"databases/{name}/move":            general,
		"canaries/{name}/start":            general,
		"canaries/{name}/set":              general,
		"canaries/{name}/stop":             general,
		"databases/{name}/resume":          `"old":{"Failed":true},"new":{"Failed":false}`,
		"settings":                         `"old":{"banner":"Hi","hook_password":"*****","long":""},"new":{"banner":"Ho","hook_password":"*****","long":"a setting`,
		"users/{name}/kick":                `"old":{"sessions":["0123456789abcdef of ann from 192.0.2.1:9 at mbx1",`,
		"sessions/kick":                    `"and 84 more"]},"new":{"sessions":[]}`,
		"penalties/clear":                  `"old":{"penalties":[{"burst":0,"failures":7,"guesses":0,"user":"ann","wait":0}]},"new":{"penalties":[]}`,
		"rebalance":                        `"old":{"active copy of db1":"mbx1"},"new":{"active copy of db1":"mbx2"}`,
		"recovery":                         `"old":{"recovery":null},"new":{"recovery":{`,
		"components":                       general,
		"overrides/add":                    general,
		"overrides/remove":                 general,
		"health/repairing":                 general,
		"log/on":                           `"old":{"rule r1":null},"new":{"rule r1":{"id":"r1"`,
		"log/off":                          `"old":{"rule r1":{"id":"r1","since":"0001-01-01T00:00:00Z","user":"ann"}},"new":{"rule r1":null}`,
		"maintenance/start":                `"old":{"activation":"allowed"},"new":{"activation":"blocked"}`,
		"maintenance/stop":                 `"old":{"activation":"blocked"},"new":{"activation":"allowed"}`,
		"servers/{name}/maintenance/start": `"old":{"activation":"allowed"},"new":{"activation":"blocked"}`,
		"servers/{name}/maintenance/stop":  `"old":{"activation":"blocked"},"new":{"activation":"allowed"}`,
		"config/plan":                      `"old":{},"new":{}`,
		"config/apply":                     `"old":{"configuration":0},"new":{"configuration":1}`,
		"config/rollback":                  `"old":{"configuration":0},"new":{"configuration":-1}`,
		"bundle":                           `"old":{"bundle":null},"new":{"bundle":"/bundle.tar"}`,
		"cluster/nodes/{name}/remove":      `"old":{"node mbx1":"absent"},"new":{"node mbx1":"removed"}`,
		"service/upgrade":                  `"old":{"process":null},"new":{"process":7}`,
		"store/backup":                     `"old":{"copy":null},"new":{"copy":"/backups/one"}`,
		"site/{path}":                      "", // each node logs its own change
		"/probes/{set}/{probe}":            "", // a run by hand changes nothing
	}
	for _, route := range changingRoutes(t) {
		want, known := lines[route]
		if !known {
			t.Errorf("no row here for the route %s", route)
		}
		delete(lines, route)
		if want == "" {
			continue
		}
		path := strings.ReplaceAll(route, "{name}", "mbx1")
		c := &changing{settings: []SettingState{{Name: "banner", Value: "Hi", Source: "stored"},
			{Name: "hook_password", Value: "open"}}}
		var log testkit.Log
		site := audited(zerolog.New(&log),
			pages(Options{Gatherer: prometheus.NewRegistry(), API: c.api()}))
		recorder := httptest.NewRecorder()
		site.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/api/v1/"+path,
			strings.NewReader(leastBody(t, route))))
		line := log.String()
		var parsed struct{ Old, New any }
		err := json.Unmarshal([]byte(line), &parsed)
		if recorder.Code != http.StatusOK || err != nil || parsed.Old == nil || parsed.New == nil ||
			!strings.Contains(line, want) {
			t.Errorf("%s: %d %s\nwant %s (%v)", route, recorder.Code, line, want, err)
		}
		if strings.Contains(line, "sesame") || strings.Contains(line, "(not shown)") {
			t.Errorf("%s: a secret in %s", route, line)
		}
	}
	for route := range lines {
		t.Errorf("there is no route %s", route)
	}
}

// leastBody is a body with what a request demands.
func leastBody(t *testing.T, route string) string {
	t.Helper()
	api := allOperations()
	content := api.Paths[prefix+route].Post.RequestBody.Content["application/json"]
	schema := content.Schema
	if schema.Ref != "" {
		schema = api.Components.Schemas.SchemaFromRef(schema.Ref)
	}
	values := make(map[string]any)
	for _, name := range schema.Required {
		values[name] = "x" // a property of another type is not demanded anywhere
	}
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A change that fails after a part of it was done is in the log with that part.
func TestPartOfAChangeIsLogged(t *testing.T) {
	var log testkit.Log
	audited(zerolog.New(&log), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Changed(r.Context(), Difference{"activation on mbx1", "allowed", strings.Repeat("x", 2*maxShownText)})
		reply(w, nil, context.DeadlineExceeded)
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil))
	want := `"status":503,"old":{"activation on mbx1":"allowed"},"new":{"activation on mbx1":"` +
		strings.Repeat("x", maxShownText) + `..."}`
	if !strings.Contains(log.String(), want) {
		t.Errorf("got %s", log.String())
	}
}
