package proxy

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"portico/proxy/relay"
)

// Each figure of a server is in its own metric.
func TestMetricsOfTheRelay(t *testing.T) {
	all := relay.NewStats()
	server := all.Server("mbx1")
	server.Queued, server.Sessions, server.Unjudged = 1, 2, 3
	server.Throttled, server.Intercepted, server.LongCapabilities = 4, 5, 6
	server.ClientBytes, server.ServerBytes = 7, 8
	all.Panics = 9
	h := &harness{t: t, metrics: prometheus.NewRegistry()}
	h.metrics.MustRegister(newRelayCollector(func() *relay.Stats { return all }))
	for i, metric := range [][]string{
		{"portico_requests_queued", "server", "mbx1"}, {"portico_server_sessions", "server", "mbx1"},
		{"portico_sessions_unjudged", "server", "mbx1"}, {"portico_sessions_throttled_total", "server", "mbx1"},
		{"portico_commands_intercepted_total", "server", "mbx1"}, {"portico_capability_lists_too_long_total", "server", "mbx1"},
		{"portico_relay_bytes_total", "direction", "client", "server", "mbx1"},
		{"portico_relay_bytes_total", "direction", "server", "server", "mbx1"}, {"portico_relay_panics_total"},
	} {
		if got := h.metric(metric[0], metric[1:]...); got != float64(i+1) {
			t.Errorf("%q is %v, want %d", metric, got, i+1)
		}
	}
}
