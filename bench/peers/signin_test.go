package peers

import (
	"crypto/tls"
	"slices"
	"testing"
)

// BenchmarkSignIn prints what a sign-in costs the proxies that sign in.
func BenchmarkSignIn(b *testing.B) {
	s, config := newSite(b)
	for _, way := range []struct {
		name   string
		config *tls.Config
	}{{"plain", nil}, {"tls", config}} {
		b.Run(way.name, func(b *testing.B) { compareSignIn(b, s, way.config) })
	}
}

func compareSignIn(b *testing.B, s *site, config *tls.Config) {
	const each = 400
	peers := slices.DeleteFunc(startAll(b, s), func(p *Peer) bool { return p.Name == "haproxy" })
	spent := make(map[string][]float64)
	for round := range rounds {
		for i := range peers {
			p := peers[(i+round)%len(peers)]
			addr := p.Plain
			if config != nil {
				addr = p.TLS
			}
			before, err := cpuTime(p.pid())
			if err != nil {
				b.Fatal(err)
			}
			clients, err := signInMany(addr, config, each)
			if err != nil {
				b.Fatalf("%s: %v", p.Name, err)
			}
			after, _ := cpuTime(p.pid())
			closeAll(clients)
			spent[p.Name] = append(spent[p.Name], float64((after-before).Nanoseconds())/1e3/each)
		}
	}
	for _, p := range peers {
		slices.Sort(spent[p.Name])
		b.Logf("%-8s %6.1f us per sign-in (%.1f to %.1f)", p.Name, median(spent[p.Name]), spent[p.Name][0], spent[p.Name][rounds-1])
		b.ReportMetric(median(spent[p.Name]), p.Name+"-us")
	}
}
