package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"portico/health"
	"portico/health/catalogue"
	"portico/health/components"
	"portico/health/recovery"
)

// Health is managed availability as the API shows it. Its methods may be called from anywhere.
type Health interface {
	Node() string    // this machine's name
	Nodes() []string // the other nodes
	// Active says on which mailbox server a database is active, "" if on none.
	Active(database string) (server string)
	Monitors() []health.MonitorState
	Sets() []health.SetState
	Probes() []health.ProbeState
	Alerts() []health.Alert // that last
	Components() []components.State
	SetComponent(ctx context.Context, r components.Request) (Change, error)
	Overrides(ctx context.Context) ([]health.Override, error)
	AddOverride(ctx context.Context, o health.Override) (Change, error)
	RemoveOverride(ctx context.Context, o health.Override) (Change, error)
	SetRepairing(ctx context.Context, monitor string, on bool) (Change, error)
	// Recovery is what is being done, and what was.
	Recovery() RecoveryState
	// Recover does an action that somebody asks for, and returns what became of it.
	Recover(ctx context.Context, r RecoveryRequest) (recovery.Record, error)
	// Maintenance lists what somebody works on: mailbox servers, or this node.
	Maintenance(ctx context.Context) ([]Maintenance, error)
	// StartMaintenance and StopMaintenance are for a mailbox server, or with "" for this node, whose sessions end
	// within drain.
	StartMaintenance(ctx context.Context, server string, drain time.Duration) ([]MaintenanceStep, error)
	StopMaintenance(ctx context.Context, server string) ([]MaintenanceStep, error)
	// Bundle writes down all that is known, and says where.
	Bundle(ctx context.Context) (where string, err error)
	// RunNow runs probes by hand.
	RunNow(ctx context.Context, r ProbeRun) ([]*health.Result, error)
}

// RecoveryState is recovery as the API shows it.
type RecoveryState struct {
	Mode   recovery.Mode `json:"mode"`
	Active bool          `json:"active"` // component RecoveryActionsEnabled
	// mailbox servers for which RecoveryActionsEnabled is Inactive
	OffFor  []string          `json:"off_for,omitempty"`
	Ladders []recovery.Ladder `json:"ladders"`
	// Steps are the actions of each monitor, in order.
	Steps   map[string][]recovery.Action `json:"steps"`
	Records []recovery.Record            `json:"records"` // the latest first
	// health.escalate names somebody; else only the log learns of alerts
	Tells bool `json:"tells"`
}

// RecoveryRequest asks for an action, or that it be taken back.
type RecoveryRequest struct {
	Action   recovery.Action `json:"action"`
	Server   string          `json:"server"`   // the mailbox server, where it is for one
	Database string          `json:"database"` // the database, where it is for one
	Lift     bool            `json:"lift"`     // take it back
	By       string          `json:"by"`       // who asks, such as a runbook; "" for an operator
	Machine  bool            `json:"machine"`  // nobody watches: throttle it
}

// ProbeRun asks for a run of probes by hand.
type ProbeRun struct {
	Set      string  `json:"set"`
	Probe    string  `json:"probe"`
	Target   string  `json:"target"`   // "" for all
	Timeout  float64 `json:"timeout"`  // seconds; 0 for the probe's own
	Account  string  `json:"account"`  // instead of the health mailbox
	Password string  `json:"password"` // of the account
	Endpoint string  `json:"endpoint"` // host:port of whom to ask instead; wants an account

	Properties map[string]string `json:"properties,omitempty"` // of the probe's definition, for this run alone
}

// MonitorRow is a monitor: a row of Get-ServerHealth.
type MonitorRow struct {
	Server          string     `json:"server"`
	State           string     `json:"state"` // of its component; NotApplicable where it has none
	Name            string     `json:"name"`
	TargetResource  string     `json:"target_resource"`
	HealthSetName   string     `json:"health_set_name"`
	AlertValue      string     `json:"alert_value"`
	ServerComponent string     `json:"server_component"`
	LastTransition  time.Time  `json:"last_transition_time"`
	FirstAlert      *time.Time `json:"first_alert_observed_time,omitempty"`
	LastExecution   *time.Time `json:"last_execution_time,omitempty"`
	LastResult      string     `json:"last_execution_result,omitempty"`
	IsStale         bool       `json:"is_stale,omitempty"`
	Flapping        bool       `json:"flapping,omitempty"`
	FlapsSince      *time.Time `json:"flaps_since,omitempty"`
	// FlapsUntil is when it flaps no longer, if it does not change before.
	FlapsUntil    *time.Time `json:"flaps_until,omitempty"`
	Error         string     `json:"error,omitempty"` // of the latest failure, while there is one
	Dependency    string     `json:"dependency,omitempty"`
	Mailbox       string     `json:"_mbx,omitempty"`
	MailboxServer string     `json:"mailbox_server,omitempty"` // that it looks at, or where its database is active
	Description   string     `json:"description,omitempty"`
}

// SetRow is a health set: a row of Get-HealthReport.
type SetRow struct {
	Server         string    `json:"server"`
	State          string    `json:"state"`
	HealthSet      string    `json:"health_set"`
	AlertValue     string    `json:"alert_value"`
	LastTransition time.Time `json:"last_transition_time"`
	MonitorCount   int       `json:"monitor_count"`

	HealthGroup string       `json:"health_group"`
	Monitors    []MonitorRow `json:"monitors"`
}

// ProbeRow is a probe and its latest results.
type ProbeRow struct {
	Identity  string      `json:"identity"`
	HealthSet string      `json:"health_set"`
	Name      string      `json:"name"`
	Target    string      `json:"target"`
	Interval  float64     `json:"interval"` // seconds
	Timeout   float64     `json:"timeout"`  // seconds
	Results   []ResultRow `json:"results"`  // the latest first
}

// ResultRow is what a run of a probe has found, as Invoke-MonitoringProbe shows it.
type ResultRow struct {
	Server        string    `json:"server"`
	ResultName    string    `json:"result_name"`
	ResultType    string    `json:"result_type"`
	Result        string    `json:"result"` // the same
	Start         time.Time `json:"execution_start_time"`
	End           time.Time `json:"execution_end_time"`
	Seconds       float64   `json:"seconds"`
	Error         string    `json:"error,omitempty"`
	Dependency    string    `json:"dependency,omitempty"`
	Phase         string    `json:"phase,omitempty"`
	Mailbox       string    `json:"_mbx,omitempty"`
	Steps         []StepRow `json:"steps,omitempty"`
	LastSent      string    `json:"last_sent,omitempty"`
	LastReceived  string    `json:"last_received,omitempty"`
	SampleValue   float64   `json:"sample_value,omitempty"`
	ByHand        bool      `json:"by_hand,omitempty"`
	ResultID      uint64    `json:"result_id"`
	HealthSetName string    `json:"health_set_name"`
	Account       string    `json:"account,omitempty"`           // the mailbox that it signed in to
	Context       string    `json:"execution_context,omitempty"` // what else is to be known
}

// StepRow is a step of a run.
type StepRow struct {
	Name string  `json:"name"`
	Ms   float64 `json:"ms"`
}

func resultRow(server string, r *health.Result) ResultRow {
	row := ResultRow{
		Server: server, ResultName: r.Name(), ResultType: r.Type.String(), Result: r.Type.String(),
		Start: r.Start.UTC(), End: r.End.UTC(),
		Seconds: r.End.Sub(r.Start).Seconds(), Error: r.Err, Dependency: string(r.Dependency), Phase: r.Phase,
		Mailbox:  r.Mailbox,
		LastSent: r.Sent, LastReceived: r.Received, SampleValue: r.Value, ByHand: r.ByHand, ResultID: r.ID,
		HealthSetName: r.HealthSet, Account: r.Account, Context: r.Context,
	}
	for _, s := range r.Steps {
		row.Steps = append(row.Steps, StepRow{s.Name, float64(s.Took.Microseconds()) / 1000})
	}
	return row
}

// serves says whether a component is Active.
func serves(h Health, component string) bool {
	for _, c := range h.Components() {
		if c.Component == component && c.Server == "" {
			return c.State == components.Active
		}
	}
	return true
}

// States of a component that takes clients, of one node or several, and of what has no such component.
const (
	online          = "Online"
	partiallyOnline = "Partially Online"
	offline         = "Offline"
	notApplicable   = "NotApplicable"
)

// onlineOffline is a component's state as monitors and health sets show it.
func onlineOffline(h Health, component string) string {
	if serves(h, component) {
		return online
	}
	return offline
}

func monitorRow(h Health, m health.MonitorState) MonitorRow {
	row := MonitorRow{
		Server: h.Node(), State: notApplicable, Name: m.Name, TargetResource: m.Target, HealthSetName: m.HealthSet,
		AlertValue:      m.Value.String(),
		ServerComponent: "None", LastTransition: m.LastTransition.UTC(), IsStale: m.Stale,
		MailboxServer: health.ServerOf(m, h.Active),
		Description:   catalogue.Help(m.Name),
		Flapping:      !m.FlapsSince.IsZero(),
	}
	if m.Component != "" {
		row.State, row.ServerComponent = onlineOffline(h, m.Component), m.Component
	}
	if row.Flapping {
		since, until := m.FlapsSince.UTC(), m.FlapsUntil.UTC()
		row.FlapsSince, row.FlapsUntil = &since, &until
	}
	if !m.FirstAlert.IsZero() {
		at := m.FirstAlert.UTC()
		row.FirstAlert = &at
	}
	if r := m.LastResult; r != nil {
		at := r.End.UTC()
		row.LastExecution, row.LastResult = &at, r.Type.String()
	}
	if f := m.LastFailure; f != nil && m.Value != health.Healthy {
		row.Error, row.Dependency, row.Mailbox = f.Err, string(f.Dependency), f.Mailbox
	}
	return row
}

// probeTime is how long a run by hand may take in all.
const probeTime = 15 * time.Minute

// healthAPI adds managed availability to the pages.
func healthAPI(mux *http.ServeMux, h Health) {
	maintenanceAPI(mux, h)
	mux.HandleFunc("GET /api/v1/nodes", func(w http.ResponseWriter, _ *http.Request) { answer(w, h.Nodes(), nil) })
	mux.HandleFunc("GET /api/v1/health", func(w http.ResponseWriter, r *http.Request) {
		answer(w, monitorRows(h, r.URL.Query().Get("server")), nil)
	})
	mux.HandleFunc("GET /api/v1/items", func(w http.ResponseWriter, _ *http.Request) { answer(w, itemRows(h), nil) })
	mux.HandleFunc("GET /api/v1/health/report", func(w http.ResponseWriter,
		_ *http.Request) {
		answer(w, setRows(h), nil)
	})
	mux.HandleFunc("GET /api/v1/alerts", func(w http.ResponseWriter, _ *http.Request) { answer(w, h.Alerts(), nil) })
	mux.HandleFunc("GET /api/v1/recovery", func(w http.ResponseWriter,
		_ *http.Request) {
		answer(w, h.Recovery(), nil)
	})
	change(mux, "recovery", func(ctx context.Context, _ string, r RecoveryRequest) (any, error) {
		record, err := h.Recover(ctx, r)
		if err == nil {
			Changed(ctx, Difference{"recovery", nil, record})
		}
		return record, err
	})
	mux.HandleFunc("GET /api/v1/components", func(w http.ResponseWriter,
		_ *http.Request) {
		answer(w, h.Components(), nil)
	})
	change(mux, "components", func(ctx context.Context, _ string, r components.Request) (any, error) {
		return h.SetComponent(ctx, r)
	})
	mux.HandleFunc("GET /api/v1/overrides", func(w http.ResponseWriter, r *http.Request) {
		all, err := h.Overrides(r.Context())
		answer(w, all, err)
	})
	change(mux, "overrides/add", func(ctx context.Context, _ string, o health.Override) (any, error) {
		o.Identity = catalogue.Canonical(o.Identity)
		return h.AddOverride(ctx, o)
	})
	change(mux, "overrides/remove", func(ctx context.Context, _ string, o health.Override) (any, error) {
		o.Identity = catalogue.Canonical(o.Identity)
		return h.RemoveOverride(ctx, o)
	})
	change(mux, "health/repairing", func(ctx context.Context, _ string, body struct {
		Monitor string
		On      bool
	}) (any, error) {
		return h.SetRepairing(ctx, catalogue.Canonical(body.Monitor), body.On)
	})
	mux.HandleFunc("GET /api/v1/probes", func(w http.ResponseWriter, r *http.Request) {
		answer(w, probeRows(h, "", "", r.URL.Query().Get("server")), nil)
	})
	mux.HandleFunc("GET /probes/{set}/{probe}", func(w http.ResponseWriter, r *http.Request) {
		rows := probeRows(h, r.PathValue("set"), catalogue.Canonical(r.PathValue("probe")), "")
		var err error
		if len(rows) == 0 {
			err = Unknown(fmt.Errorf("there is no probe %s/%s", r.PathValue("set"), r.PathValue("probe")))
		}
		answer(w, rows, err)
	})
	mux.HandleFunc("POST /probes/{set}/{probe}", func(w http.ResponseWriter, r *http.Request) {
		var run ProbeRun
		if !readBody(w, r, &run) {
			return
		}
		run.Set, run.Probe = r.PathValue("set"), catalogue.Canonical(r.PathValue("probe"))
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(probeTime + writeTimeout))
		ctx, cancel := context.WithTimeout(r.Context(), probeTime)
		defer cancel()
		rows, err := runNow(ctx, h, run)
		answer(w, rows, err)
	})
	test := &selfTest{health: h}
	mux.HandleFunc("GET /selftest", test.serve)
	mux.HandleFunc("GET /imap/healthcheck.htm", func(w http.ResponseWriter, r *http.Request) { healthcheck(w, h) })
}

// HealthRows are all monitors and probes, as the API shows them.
func HealthRows(h Health) ([]MonitorRow, []ProbeRow) {
	return monitorRows(h, ""), probeRows(h, "", "", "")
}

// monitorRows lists the monitors that concern a mailbox server, or with "" all.
func monitorRows(h Health, server string) []MonitorRow {
	rows := []MonitorRow{}
	for _, m := range h.Monitors() {
		if server == "" || health.Concerns(m, server, h.Active) {
			rows = append(rows, monitorRow(h, m))
		}
	}
	return rows
}

// setRows lists the health sets with their monitors.
func setRows(h Health) []SetRow {
	rows := []SetRow{}
	for _, s := range h.Sets() {
		of := catalogue.SetOf(s.Name)
		row := SetRow{
			Server: h.Node(), State: notApplicable, HealthSet: s.Name, AlertValue: s.Value.String(),
			LastTransition: s.LastTransition.UTC(), MonitorCount: len(s.Monitors),
			HealthGroup: of.Group, Monitors: []MonitorRow{},
		}
		if of.Component != "" {
			row.State = onlineOffline(h, of.Component)
		}
		for _, m := range s.Monitors {
			row.Monitors = append(row.Monitors, monitorRow(h, m))
		}
		rows = append(rows, row)
	}
	return rows
}

// probeRows lists probes with their results: those of a health set and name, "" for all, that concern a mailbox
// server, "" for any.
func probeRows(h Health, set, probe, server string) []ProbeRow {
	rows := []ProbeRow{}
	for _, p := range h.Probes() {
		if set != "" && (p.HealthSet != set || p.Name != probe) || server != "" && !p.Concerns(server, h.Active) {
			continue
		}
		row := ProbeRow{
			Identity: p.ID(), HealthSet: p.HealthSet, Name: p.Name, Target: p.Target, Interval: p.Interval.Seconds(),
			Timeout: p.Timeout.Seconds(), Results: []ResultRow{},
		}
		for _, r := range p.Results {
			row.Results = append(row.Results, resultRow(h.Node(), r))
		}
		rows = append(rows, row)
	}
	return rows
}

func runNow(ctx context.Context, h Health, run ProbeRun) ([]ResultRow, error) {
	results, err := h.RunNow(ctx, run)
	if errors.Is(err, health.ErrUnknown) {
		return nil, Unknown(err)
	}
	rows := []ResultRow{}
	for _, r := range results {
		rows = append(rows, resultRow(h.Node(), r))
	}
	return rows, err
}

// selfTestKept is how long the answer to /selftest is kept: whoever asks can not make us work more often.
const selfTestKept = 5 * time.Second

// selfTest answers /selftest by a run of ImapProxyTestProbe, one at a time.
type selfTest struct {
	health Health

	mu   sync.Mutex
	at   time.Time
	last []ResultRow
	err  error
}

func (s *selfTest) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.at) > selfTestKept {
		ctx := context.WithoutCancel(r.Context()) // the answer is for others too
		s.last, s.err = runNow(ctx, s.health, ProbeRun{Set: catalogue.SetProxy, Probe: catalogue.ImapProxyTestProbe})
		s.at = time.Now()
	}
	if s.err != nil {
		fail(w, Of(KindFailed, s.err))
		return
	}
	for _, row := range s.last {
		if row.ResultType != health.Succeeded.String() && row.ResultType != health.Rejected.String() {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			break
		}
	}
	answer(w, s.last, nil)
}

// healthcheck is for load balancers: 200 and this node's name, or not 200. What a mailbox server does is no reason to
// send clients away from here.
func healthcheck(w http.ResponseWriter, h Health) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if !serves(h, components.ImapProxy) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "503 %s is Inactive<br/>%s\n", components.ImapProxy, h.Node())
		return
	}
	for _, s := range h.Sets() {
		if catalogue.SetOf(s.Name).Component == components.ImapProxy &&
			(s.Value == health.Unhealthy || s.Value == health.Unavailable) {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, "503 %s is %s<br/>%s\n", s.Name, s.Value, h.Node())
			return
		}
	}
	io.WriteString(w, "200 OK<br/>"+h.Node()+"\n")
}
