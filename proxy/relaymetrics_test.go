package proxy

import (
	"errors"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"portico/proxy/relay"
)

// Each figure of a server is in its own metric.
func TestMetricsOfTheRelay(t *testing.T) {
	all := relay.NewStats()
	server := all.Server("mbx1")
	server.Queued, server.Sessions, server.Opaque = 1, 2, 3
	server.Throttled, server.Intercepted, server.LongCapabilities = 4, 5, 6
	server.ClientBytes, server.ServerBytes = 7, 8
	all.Panics = 9
	h := &harness{t: t, metrics: prometheus.NewRegistry()}
	h.metrics.MustRegister(newRelayCollector(func() *relay.Stats { return all }))
	for i, metric := range [][]string{
		{"portico_requests_queued", "server", "mbx1"}, {"portico_server_sessions", "server", "mbx1"},
		{"portico_sessions_unjudged", "server", "mbx1"}, {"portico_sessions_throttled_total", "server", "mbx1"},
		{"portico_commands_intercepted_total", "server", "mbx1"},
		{"portico_capability_lists_too_long_total", "server", "mbx1"},
		{"portico_relay_bytes_total", "direction", "client", "server", "mbx1"},
		{"portico_relay_bytes_total", "direction", "server", "server", "mbx1"}, {"portico_relay_panics_total"},
	} {
		if got := h.metric(metric[0], metric[1:]...); got != float64(i+1) {
			t.Errorf("%q is %v, want %d", metric, got, i+1)
		}
	}
}

// The collector describes all that it collects, so that a registry refuses a second one.
func TestMetricsOfTheRelayAreDescribed(t *testing.T) {
	stats := func() *relay.Stats { return relay.NewStats() }
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newRelayCollector(stats))
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
	if err := registry.Register(newRelayCollector(stats)); !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		t.Errorf("the second one: %v", err)
	}
}

// A histogram is classic and native at once. Its native buckets are those of schema 2: bucket i ends at 2^(i/4)
// seconds.
func TestHistogramMetric(t *testing.T) {
	text := func(h *dto.Histogram) string {
		spans := ""
		for _, s := range h.PositiveSpan {
			spans += fmt.Sprintf(" %d+%d", s.GetOffset(), s.GetLength())
		}
		classic := ""
		for _, b := range h.Bucket {
			classic += fmt.Sprintf(" %v:%d", b.GetUpperBound(), b.GetCumulativeCount())
		}
		return fmt.Sprintf("count %d, sum %v; classic%s; schema %d, zero %v %v, spans%s, deltas %d",
			h.GetSampleCount(), h.GetSampleSum(), classic,
			h.GetSchema(), h.GetZeroThreshold(), h.GetZeroCount(), spans, h.PositiveDelta)
	}
	const ms = 1_000_000
	for _, test := range []struct {
		durations []int64
		want      string
	}{
		{nil, "count 0, sum 0; classic 0.001:0 0.005:0 0.025:0 0.1:0 0.25:0 1:0 2.5:0 10:0 60:0; " +
			"schema 2, zero 0 0, spans 0+0, deltas []"},
		// Bucket -4 ends at 0.5 s, -3 at 0.595 s, -2 at 0.707 s, 4 at 2 s, and 26 at 90.5 s.
		{[]int64{500 * ms, 580 * ms, 590 * ms, 600 * ms, 2000 * ms, 90_000 * ms},
			"count 6, sum 94.27; classic 0.001:0 0.005:0 0.025:0 0.1:0 0.25:0 1:4 2.5:5 10:5 60:5; " +
				"schema 2, zero 0 0, spans -4+3 5+1 21+1, deltas [1 1 -1 0 0]"},
		{[]int64{0}, "count 1, sum 0; classic 0.001:1 0.005:1 0.025:1 0.1:1 0.25:1 1:1 2.5:1 10:1 60:1; " +
			"schema 2, zero 0 0, spans -68+1, deltas [1]"},
	} {
		var h relay.Histogram
		for _, d := range test.durations {
			h.Observe(d)
		}
		var out dto.Metric
		labels := []*dto.LabelPair{{}}
		if err := (histogramMetric{from: &h, labels: labels}).Write(&out); err != nil {
			t.Fatal(err)
		}
		if got := text(out.Histogram); got != test.want || len(out.Label) != 1 || out.Label[0] != labels[0] {
			t.Errorf("%v with %d labels:\n%s, want\n%s", test.durations, len(out.Label), got, test.want)
		}
	}
}
