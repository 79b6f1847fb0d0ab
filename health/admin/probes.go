package admin

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"portico/health"
	"portico/health/catalogue"
)

// The paths of probes. GET on PathProbe lists the latest results, POST runs the probe.
const (
	PathProbes   = prefix + "probes"
	PathProbe    = "/probes/{set}/{probe}"
	PathSelfTest = "/selftest"
)

// Probes are the probes of managed availability.
type Probes interface {
	Node() string // this machine's name
	// Active says on which mailbox server a database is active, "" if on none.
	Active(database string) (server string)
	Probes() []health.ProbeState
	// RunNow runs probes by hand.
	RunNow(ctx context.Context, r ProbeRun) ([]*health.Result, error)
}

// ProbeRun asks for a run of probes by hand.
type ProbeRun struct {
	Set      string  `json:"set,omitempty"`
	Probe    string  `json:"probe,omitempty"`
	Target   string  `json:"target,omitempty"`   // "" for all
	Timeout  float64 `json:"timeout,omitempty"`  // seconds; 0 for the probe's own
	Account  string  `json:"account,omitempty"`  // instead of the health mailbox
	Password string  `json:"password,omitempty"` // of the account
	Endpoint string  `json:"endpoint,omitempty"` // host:port of whom to ask instead; wants an account

	Properties map[string]string `json:"properties,omitempty"` // of the probe's definition, for this run alone
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

// probeTime is how long a run by hand may take in all.
const probeTime = 15 * time.Minute

// ByProbe is a request about one probe.
type ByProbe struct {
	Set   string `path:"set"`
	Probe string `path:"probe"`
}

// probeRoutes adds probes to the API.
func probeRoutes(api huma.API, p Probes) {
	get(api, "list-probes", PathProbes, "List the probes with their latest results",
		func(_ context.Context, of *ofServer) ([]ProbeRow, error) { return ProbeRows(p, "", "", of.Server), nil })
	get(api, "show-probe", PathProbe, "List a probe's latest results, for each target",
		func(_ context.Context, of *ByProbe) ([]ProbeRow, error) {
			rows := ProbeRows(p, of.Set, catalogue.Canonical(of.Probe), "")
			if len(rows) == 0 {
				return nil, Unknown(fmt.Errorf("there is no probe %s/%s", of.Set, of.Probe))
			}
			return rows, nil
		})
	op := operation(http.MethodPost, "run-probe", PathProbe, "Run a probe now")
	op.Middlewares = huma.Middlewares{func(request huma.Context, next func(huma.Context)) {
		within(request.Context(), probeTime, request, next)
	}}
	huma.Register(api, op, func(ctx context.Context, in *struct {
		ByProbe
		Body *ProbeRun
	}) (*answer[[]ResultRow], error) {
		var run ProbeRun
		if in.Body != nil {
			run = *in.Body
		}
		run.Set, run.Probe = in.Set, catalogue.Canonical(in.Probe)
		return answered(runNow(ctx, p, run))
	})
}

// ProbeRows lists probes with their results: those of a health set and name, "" for all, that concern a mailbox
// server, "" for any.
func ProbeRows(of Probes, set, probe, server string) []ProbeRow {
	rows := []ProbeRow{}
	for _, p := range of.Probes() {
		if set != "" && (p.HealthSet != set || p.Name != probe) || server != "" && !p.Concerns(server, of.Active) {
			continue
		}
		row := ProbeRow{
			Identity: p.ID(), HealthSet: p.HealthSet, Name: p.Name, Target: p.Target, Interval: p.Interval.Seconds(),
			Timeout: p.Timeout.Seconds(), Results: []ResultRow{},
		}
		for _, r := range p.Results {
			row.Results = append(row.Results, resultRow(of.Node(), r))
		}
		rows = append(rows, row)
	}
	return rows
}

func runNow(ctx context.Context, of Probes, run ProbeRun) ([]ResultRow, error) {
	results, err := of.RunNow(ctx, run)
	rows := []ResultRow{}
	for _, r := range results {
		rows = append(rows, resultRow(of.Node(), r))
	}
	return rows, err
}

// selfTestKept is how long the answer to /selftest is kept: whoever asks cannot make us work more often.
const selfTestKept = 5 * time.Second

// selfTest answers /selftest by a run of ImapProxyTestProbe, one at a time.
type selfTest struct {
	probes Probes

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
		s.last, s.err = runNow(ctx, s.probes, ProbeRun{Set: catalogue.SetProxy, Probe: catalogue.ImapProxyTestProbe})
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
	reply(w, s.last, nil)
}
