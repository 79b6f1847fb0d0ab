package bench

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is the result of a run. Latencies are in microseconds.
type Report struct {
	Started      time.Time    `json:"started"`
	MeasuredFrom time.Time    `json:"measured_from"`
	Seconds      float64      `json:"seconds"` // of measured time
	EndedEarly   bool         `json:"ended_early"`
	RunIDs       []string     `json:"run_ids"` // of the run, or of those that were merged
	WarmUp       *WarmUp      `json:"warm_up,omitempty"`
	Replay       *Replayed    `json:"replay,omitempty"`
	Setup        Setup        `json:"setup"`
	Totals       Totals       `json:"totals"`
	Sessions     SessionCount `json:"sessions"`
	Loop         Loop         `json:"loop"`
	Rows         []Row        `json:"rows"`
	Errors       []ErrorCount `json:"errors"`
	Series       []Point      `json:"series"`
	Spent        *Spent       `json:"spent,omitempty"` // by the processes under load
	Tool         Tool         `json:"tool"`

	Conditions   []Judgement `json:"conditions,omitempty"` // those that fail the run
	judgesErrors bool        // one of them is about all errors
}

// Setup holds the options of the run.
type Setup struct {
	Targets       []string `json:"targets"`
	TLS           string   `json:"tls"`
	TLSVersion    string   `json:"tls_version,omitempty"` // if only one is allowed
	Curve         string   `json:"tls_curve,omitempty"`   // likewise
	Profile       string   `json:"profile"`
	ProfileDigest string   `json:"profile_digest"` // of what its sessions do
	Sessions      int      `json:"sessions"`
	Users         int      `json:"users"`
	Mechanism     string   `json:"mechanism"`
	ID            bool     `json:"id,omitempty"`
	Compress      bool     `json:"compress,omitempty"`
	Closed        bool     `json:"closed"`
	Rate          float64  `json:"rate,omitempty"` // operations due a second; not in a closed loop
	Ramp          float64  `json:"ramp_s"`
	WarmUp        float64  `json:"warm_up_s,omitempty"`
	Duration      float64  `json:"duration_s"`
	Timeout       float64  `json:"timeout_s"`
	Backlog       int      `json:"backlog,omitempty"` // operations of one session; not in a closed loop
	Grace         float64  `json:"grace_s"`
	Verify        string   `json:"verify"`
	Seed          uint64   `json:"seed"`
	Version       string   `json:"version"` // of the tool
	Machine       string   `json:"machine"` // that the tool ran on
	Boots         []string `json:"boots"`   // of the machines, which tell two machines from one
}

// Totals holds counts of the measured time.
type Totals struct {
	Commands            uint64   `json:"commands"` // done
	CommandsPerSecond   float64  `json:"commands_per_second"`
	CommandOutcomes     Outcomes `json:"command_fates"`
	Operations          uint64   `json:"operations"` // done
	OperationsPerSecond float64  `json:"operations_per_second"`
	OperationOutcomes   Outcomes `json:"operation_fates"`
	In                  uint64   `json:"bytes_in"`
	Out                 uint64   `json:"bytes_out"`
	CompressedIn        uint64   `json:"compressed_bytes_in,omitempty"` // these bytes after compression
	CompressedOut       uint64   `json:"compressed_bytes_out,omitempty"`
	Errors              uint64   `json:"errors"` // of the whole run, of all kinds
}

// SessionCount counts sessions that stay signed in.
type SessionCount struct {
	Most       int64  `json:"most"`   // signed in at once
	AtEnd      int64  `json:"at_end"` // signed in when the measured time ended
	Reconnects uint64 `json:"reconnects"`
}

// Loop says how well the tool kept the times of an open loop.
type Loop struct {
	MostBehind int64 `json:"largest_backlog"` // operations due and not begun, at once
	DelayP99   int64 `json:"own_delay_p99_us"`
	DelayMax   int64 `json:"own_delay_max_us"`

	// operations of the second half of the measured time; a server that does less than is due falls behind
	SecondHalfDue   uint64 `json:"second_half_due,omitempty"`
	SecondHalfEnded uint64 `json:"second_half_ended,omitempty"`
}

// secondHalf counts the operations between two marks of an open loop.
func (l *Loop) secondHalf(e *engine, from, to mark) {
	if e.options.Closed {
		return
	}
	for _, s := range e.sessions {
		until := min(to.at.Sub(e.startedAt), e.planned.Sub(e.startedAt))
		l.SecondHalfDue += uint64(max(0, s.schedule.dueUntil(until)-s.schedule.dueUntil(from.at.Sub(e.startedAt))))
	}
	l.SecondHalfEnded = to.operations - from.operations
}

// Row has the figures of one kind of command, part of sign-in or operation. For what did not end well, the waiting
// time counts as the latency. A figure that a longer wait would make greater is a lower bound.
type Row struct {
	Name      string   `json:"name"`
	Command   bool     `json:"command"`          // one exchange with the server, not a part or a whole of several
	Count     uint64   `json:"count"`            // of the measured time; sign-in counts from the start of the run
	Before    uint64   `json:"before,omitempty"` // how many of them, all of sign-in, were before the measured time
	Outcomes  Outcomes `json:"fates"`
	PerSecond float64  `json:"per_second"` // done in the measured time
	Errors    uint64   `json:"errors"`     // what did not end well
	Mean      float64  `json:"mean_us"`
	P50       int64    `json:"p50_us"`
	P90       int64    `json:"p90_us"`
	P99       int64    `json:"p99_us"`
	P999      int64    `json:"p999_us"`
	Max       int64    `json:"max_us"`
	AtLeast   []string `json:"at_least,omitempty"` // which of these are lower bounds, by their names here
	TooFew    []string `json:"too_few,omitempty"`  // percentiles of too few latencies, which are the greatest of them
	Curve     []Latest `json:"curve"`

	Latencies Latencies `json:"histograms"`
}

// Latest is one point of a latency distribution.
type Latest struct {
	Percentile float64 `json:"percentile"`
	Latency    int64   `json:"us"`
	AtLeast    bool    `json:"at_least,omitempty"`
}

// ErrorCount counts errors of one kind.
type ErrorCount struct {
	Kind    string   `json:"kind"`
	Count   uint64   `json:"count"`
	Samples []string `json:"samples"` // the first few
}

// Spent is the CPU time and memory of the processes under load in the measured time.
type Spent struct {
	CPU           float64 `json:"cpu_s"`
	User          float64 `json:"user_s"`
	System        float64 `json:"system_s"`
	PerCommand    float64 `json:"cpu_us_per_command,omitempty"`
	PerGB         float64 `json:"cpu_s_per_gb,omitempty"` // 10^9 bytes, both directions
	PerSignIn     float64 `json:"cpu_us_per_signin,omitempty"`
	MemoryBefore  int64   `json:"pss_before_bytes"`                // before the first connection
	Memory        int64   `json:"pss_bytes"`                       // at the end of the measured time
	PssPerSession float64 `json:"pss_per_session_bytes,omitempty"` // 0 if it did not grow
	Problem       string  `json:"problem,omitempty"`               // the account is incomplete
}

// Fine reports whether everything due was done, every answer was correct, and no condition failed. A condition on the
// errors of the whole run decides how many errors are too many.
func (r *Report) Fine() bool {
	if len(r.FailedConditions()) > 0 {
		return false
	}
	return r.Totals.Errors == 0 || r.judgesErrors && r.Totals.Operations > 0
}

// WriteJSON writes the report as JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// report builds the report of a run.
func (e *engine) report(began time.Time, first, last mark, watch *observer, late *hdrhistogram.Histogram) *Report {
	all := e.recorder.results()
	seconds := last.at.Sub(first.at).Seconds()
	r := &Report{
		Started: began.UTC().Truncate(time.Second), MeasuredFrom: first.at.UTC(), Seconds: seconds, Setup: e.setup(),
		EndedEarly: e.endedAt.Before(e.planned), RunIDs: []string{e.options.RunID},
		Totals:   newTotals(all, seconds),
		Sessions: SessionCount{Most: e.peak, AtEnd: last.sessions, Reconnects: all.reconnects},
		Loop:     Loop{MostBehind: watch.maximum, DelayP99: all.delay.ValueAtQuantile(99), DelayMax: all.delay.Max()},
		WarmUp:   e.warmUpOf(all, first.at),
		Replay:   e.replayed(),
		Errors:   errorCounts(all),
		Tool:     newTool(first.tool, last.tool, late, all.commands()),
	}
	if len(r.Errors) == 0 && r.Totals.Operations == 0 {
		r.Errors = append(r.Errors, ErrorCount{KindNothing.String(), 1,
			[]string{"no operation completed in the measured time"}})
	}
	for _, kind := range r.Errors {
		r.Totals.Errors += kind.Count
	}
	r.Spent = e.spent(first, last, all)
	for _, i := range rowOrder() {
		if record := all.rows[i]; record != nil {
			r.Rows = append(r.Rows, newRow(i, record, seconds))
		}
	}
	for _, p := range watch.series {
		p.At = p.at.Sub(first.at).Seconds()
		r.Series = append(r.Series, p.Point)
	}
	r.judge(e.options.FailIf)
	return r
}

func newTotals(all *results, seconds float64) Totals {
	commands, operations := all.measured(row.command).sum(), all.measured(row.operation).sum()
	return Totals{
		Commands: commands.Done, CommandsPerSecond: per(float64(commands.Done), seconds), CommandOutcomes: commands,
		Operations: operations.Done, OperationsPerSecond: per(float64(operations.Done), seconds),
		OperationOutcomes: operations,
		In:                all.in, Out: all.out, CompressedIn: all.wire[0], CompressedOut: all.wire[1],
	}
}

func (e *engine) setup() Setup {
	o := &e.options
	s := Setup{
		TLS: o.TLS.String(), Profile: o.Profile.Name, ProfileDigest: o.Profile.Digest(), Sessions: o.Sessions,
		Users: len(o.Users), Closed: o.Closed,
		Mechanism: o.Mechanism.String(), ID: o.ID, Compress: o.Compress, Ramp: o.Ramp.Seconds(),
		WarmUp: o.WarmUp.Seconds(), Duration: o.Duration.Seconds(), Timeout: o.Timeout.Seconds(),
		Grace:  o.Grace.Seconds(),
		Verify: o.Verify.String(), Seed: o.Seed, Version: o.Version, Machine: machine("/proc"),
		Boots: boots("/proc"),
	}
	s.TLSVersion, s.Curve = onlyTLS(o.TLSConfig)
	if !o.Closed {
		s.Rate, s.Backlog = o.Rate, o.Backlog
	}
	for _, t := range o.Targets {
		s.Targets = append(s.Targets, t.Name)
	}
	return s
}

// onlyTLS names the version and the key exchange, if the configuration allows only one.
func onlyTLS(config *tls.Config) (version, curve string) {
	if config == nil {
		return "", ""
	}
	switch {
	case config.MaxVersion == tls.VersionTLS12:
		version = "1.2"
	case config.MinVersion == tls.VersionTLS13:
		version = "1.3"
	}
	if len(config.CurvePreferences) == 1 {
		curve = config.CurvePreferences[0].String()
	}
	return version, curve
}

func (e *engine) spent(first, last mark, all *results) *Spent {
	a := e.options.Account
	if a == nil {
		return nil
	}
	cpu := last.spent.minus(first.spent)
	commands := all.measured(row.command)[outcomeDone]
	signIns := all.measured(func(r row) bool { return r == rowSignIn })[outcomeDone]
	s := &Spent{
		CPU: cpu.whole.Seconds(), User: cpu.user.Seconds(), System: cpu.system.Seconds(),
		PerCommand:   per(cpu.whole.Seconds()*1e6, float64(commands)),
		PerGB:        per(cpu.whole.Seconds(), float64(all.in+all.out)/1e9),
		PerSignIn:    per(cpu.whole.Seconds()*1e6, float64(signIns)),
		MemoryBefore: a.before, Memory: last.memory,
		PssPerSession: max(0, per(float64(last.memory-a.before), float64(last.sessions))),
	}
	if a.problem != nil {
		s.Problem = a.problem.Error()
	}
	return s
}

// per divides; with the divisor zero, the result is 0.
func per(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func newRow(r row, record *rowRecord, seconds float64) Row {
	counts := record.measured
	counts.add(record.before)
	outcomes := counts.sum()
	out := Row{
		Name: r.String(), Command: r.command(), Count: outcomes.All, Before: record.before.sum().All,
		Outcomes:  outcomes,
		PerSecond: per(float64(record.measured[outcomeDone]), seconds), Errors: outcomes.Bad(),
	}
	out.describe(Latencies{record.done, record.waited})
	return out
}

// describe fills in the figures of the latencies.
func (out *Row) describe(l Latencies) {
	var d distribution
	d.add(l)
	out.Latencies, out.Mean, out.Curve = l, d.all.Mean(), d.curve()
	set := func(name string, us int64, atLeast bool) int64 {
		if atLeast {
			out.AtLeast = append(out.AtLeast, name)
		}
		return us
	}
	percentile := func(name string, percentile float64) int64 {
		us, atLeast := d.at(percentile)
		if percentile > 50 && !d.enough(percentile) {
			out.TooFew = append(out.TooFew, name)
		}
		return set(name, us, atLeast)
	}
	out.P50, out.P90, out.P99, out.P999 = percentile("p50_us", 50), percentile("p90_us", 90), percentile("p99_us",
		99), percentile("p999_us", 99.9)
	most, atLeast := d.most()
	out.Max = set("max_us", most, atLeast)
}

// curve samples a distribution, as far as there are enough latencies for.
func (d distribution) curve() []Latest {
	var points []Latest
	add := func(percentile float64) {
		us, atLeast := d.at(percentile)
		points = append(points, Latest{percentile, us, atLeast})
	}
	add(0)
	for _, p := range []float64{25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.975, 99.99,
		99.995, 99.999} {
		if !d.enough(p) {
			break
		}
		add(p)
	}
	most, atLeast := d.most()
	return append(points, Latest{100, most, atLeast})
}

// enough reports whether at least one latency is above the percentile.
func (d distribution) enough(percentile float64) bool {
	return math.Round(float64(d.all.TotalCount())*(100-percentile)*1e6)/1e8 >= 1
}

func errorCounts(all *results) []ErrorCount {
	counts := []ErrorCount{}
	for i := range all.kinds {
		if k := &all.kinds[i]; k.count > 0 {
			counts = append(counts, ErrorCount{Kind(i).String(), k.count, k.samples})
		}
	}
	return counts
}
