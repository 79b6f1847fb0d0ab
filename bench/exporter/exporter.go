// Package exporter serves the metrics of a run of package bench to Prometheus during the run.
package exporter

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"portico/bench"
)

// bounds are the upper ends of the buckets, in seconds.
var bounds = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// Exporter holds the sums of a run's intervals. It implements prometheus.Collector and is safe for concurrent use.
type Exporter struct {
	durations, results           map[bool]*prometheus.Desc // of operations, and of commands
	sessions, backlog, errorsSum *prometheus.Desc
	measuring                    *prometheus.Desc

	mu       sync.Mutex
	rows     map[string]*rowSum
	progress bench.Progress
}

// rowSum holds the sums of a row.
type rowSum struct {
	operation bool
	count     uint64
	seconds   float64
	buckets   []uint64 // each with those below it
	outcomes  bench.Outcomes
}

// New returns an exporter without data.
func New() *Exporter {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("portico_bench_"+name, help, labels, nil)
	}
	return &Exporter{
		durations: map[bool]*prometheus.Desc{
			true: desc("operation_duration_seconds",
				"Latency of whole operations; of incomplete ones, the time waited.", "operation"),
			false: desc("command_duration_seconds",
				"Latency of commands and parts of sign-in; of incomplete ones, the time waited.", "command"),
		},
		results: map[bool]*prometheus.Desc{
			true:  desc("operations_total", "Operations by result.", "operation", "fate"),
			false: desc("commands_total", "Commands and parts of sign-in by result.", "command", "fate"),
		},
		sessions:  desc("sessions", "Sessions that are signed in."),
		backlog:   desc("backlog_operations", "Operations that are due and not started."),
		errorsSum: desc("errors_total", "Errors of the run, including the warm-up."),
		measuring: desc("measuring", "1 in the measured time, 0 before and after."),
		rows:      make(map[string]*rowSum),
	}
}

// Interval adds a step of the run.
func (e *Exporter) Interval(i bench.Interval) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, row := range i.Rows {
		sum := e.rows[row.Name]
		if sum == nil {
			sum = &rowSum{operation: row.Operation, buckets: make([]uint64, len(bounds))}
			e.rows[row.Name] = sum
		}
		sum.add(row.Latencies)
		sum.outcomes = sum.outcomes.Plus(row.Outcomes)
	}
}

func (s *rowSum) add(h *hdrhistogram.Histogram) {
	for _, bar := range h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		latency := float64(bar.To) / 1e6
		s.count += uint64(bar.Count)
		s.seconds += latency * float64(bar.Count)
		for i := range bounds {
			if latency <= bounds[i] {
				s.buckets[i] += uint64(bar.Count)
			}
		}
	}
}

// Progress sets the state of the run.
func (e *Exporter) Progress(p bench.Progress) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.progress = p
}

// Describe implements prometheus.Collector.
func (e *Exporter) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(e, to) }

// Collect implements prometheus.Collector.
func (e *Exporter) Collect(to chan<- prometheus.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	gauge := func(desc *prometheus.Desc, value float64) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	measuring := 0.0
	if e.progress.Measuring {
		measuring = 1
	}
	gauge(e.measuring, measuring)
	gauge(e.sessions, float64(e.progress.Sessions))
	gauge(e.backlog, float64(e.progress.Behind))
	to <- prometheus.MustNewConstMetric(e.errorsSum, prometheus.CounterValue, float64(e.progress.Errors))
	for name, sum := range e.rows {
		buckets := make(map[float64]uint64, len(bounds))
		for i, bound := range bounds {
			buckets[bound] = sum.buckets[i]
		}
		to <- prometheus.MustNewConstHistogram(e.durations[sum.operation], sum.count, sum.seconds, buckets, name)
		o := sum.outcomes
		for outcome, n := range map[string]uint64{
			"done": o.Done, "done_after_end": o.DoneAfterEnd, "refused": o.Refused, "failed": o.Failed,
			"timed_out":  o.TimedOut,
			"unfinished": o.Unfinished, "never_begun": o.NeverBegun,
		} {
			to <- prometheus.MustNewConstMetric(e.results[sum.operation], prometheus.CounterValue,
				float64(n), name, outcome)
		}
	}
}

// headerTime is how long a client of the metrics may take to send its request.
const headerTime = 5 * time.Second

// Serve answers /metrics on the listener until stop is called.
func (e *Exporter) Serve(ln net.Listener) (stop func()) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(e)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTime}
	var work sync.WaitGroup
	work.Go(func() { server.Serve(ln) }) // its end is Close
	return func() {
		server.Close()
		work.Wait()
	}
}
