package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"portico/health/exposition"
	"portico/proxy/relay"
	"portico/proxy/wire"
)

// BenchmarkScrape reads the metrics of twenty servers, each of which has seen twenty verbs.
func BenchmarkScrape(b *testing.B) {
	all := relay.NewStats()
	for i := range 20 {
		server := all.Server(fmt.Sprintf("mbx%d", i))
		for v := range 20 {
			for ns := int64(1000); ns < 1e9; ns *= 3 {
				server.Observe(wire.Verb(v), relay.ResultOK, ns)
			}
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(newRelayCollector(func() *relay.Stats { return all.Clone() }))
	handler := exposition.New(registry, zerolog.Nop())
	request := httptest.NewRequest("GET", "/metrics", nil)
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(nowhere{http.Header{}, io.Discard}, request)
	}
}

// nowhere is a response that nobody reads.
type nowhere struct {
	header http.Header
	io.Writer
}

func (n nowhere) Header() http.Header { return n.header }
func (n nowhere) WriteHeader(int)     {}
