package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/rs/zerolog"

	"portico/health/exposition"
	"portico/proxy/relay"
	"portico/proxy/wire"
)

// BenchmarkScrape reads the metrics of twenty servers, each of which has seen twenty verbs: as text and as protobuf,
// which has native histograms, with classic histograms and without.
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
	for _, classic := range []bool{true, false} {
		for _, format := range []expfmt.FormatType{expfmt.TypeTextPlain, expfmt.TypeProtoDelim} {
			b.Run(fmt.Sprintf("%s/classic=%v", formatNames[format], classic), func(b *testing.B) {
				handler := exposition.New(exposition.Histograms{From: registry,
					Classic: func() bool { return classic }}, zerolog.Nop())
				request := httptest.NewRequest("GET", "/metrics", nil)
				request.Header.Set("Accept", string(expfmt.NewFormat(format)))
				response := nowhere{http.Header{}, io.Discard}
				b.ReportAllocs()
				for b.Loop() {
					handler.ServeHTTP(response, request)
				}
				size, err := strconv.Atoi(response.header.Get("Content-Length"))
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(size), "bytes/page")
			})
		}
	}
}

var formatNames = map[expfmt.FormatType]string{expfmt.TypeTextPlain: "text", expfmt.TypeProtoDelim: "protobuf"}

// nowhere is a response that nobody reads.
type nowhere struct {
	header http.Header
	io.Writer
}

func (n nowhere) Header() http.Header { return n.header }
func (n nowhere) WriteHeader(int)     {}
