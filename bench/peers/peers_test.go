//go:build unix

package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets this program be the other processes of a run.
func TestMain(m *testing.M) {
	if asked, err := Role(os.Args[1:]); asked {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		return
	}
	os.Exit(m.Run())
}

// BenchmarkHold keeps a load on one proxy for a profiler to look at: PORTICO_PEERS_HOLD is for how long, as "nginx
// 20s".
func BenchmarkHold(b *testing.B) {
	var name, length string
	fmt.Sscan(os.Getenv("PORTICO_PEERS_HOLD"), &name, &length)
	d, err := time.ParseDuration(length)
	if err != nil {
		b.Skip("PORTICO_PEERS_HOLD is not set")
	}
	s, err := newSite(b.TempDir(), newSystem(os.Args[0], ""))
	if err != nil {
		b.Fatal(err)
	}
	defer s.close()
	program, err := s.build()
	if err != nil {
		b.Fatal(err)
	}
	for _, st := range starters(program) {
		if st.name != name {
			continue
		}
		p, err := st.start(s, false)
		if err != nil {
			b.Fatal(err)
		}
		defer p.Stop()
		clients, err := signInMany(p.Plain, nil, 50)
		if err != nil {
			b.Fatal(err)
		}
		defer closeAll(clients)
		own, _ := p.pids()
		fmt.Fprintln(os.Stderr, "processes", own)
		done := 0
		for end := time.Now().Add(d); time.Now().Before(end); done += 50 * 100 {
			if err := each(clients, func(c *client) error { return c.repeat("a NOOP\r\n", 100) }); err != nil {
				b.Fatal(err)
			}
		}
		spent, _ := cpuTime(own)
		b.ReportMetric(micros(spent.cpu)/float64(done), "us/cmd")
		b.ReportMetric(float64(done), "commands")
	}
}

// alone starts Portico without peers.
func alone(b *testing.B) (*site, *Peer) {
	if err := raiseDescriptors(); err != nil {
		b.Fatal(err)
	}
	s, err := newSite(b.TempDir(), newSystem(os.Args[0], ""))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.close)
	program, err := s.build()
	if err != nil {
		b.Fatal(err)
	}
	p, err := startPortico(s, portico, program, false, 1)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Stop)
	return s, p
}

// BenchmarkRows prints Portico's figure of each row of the tables, without the other proxies.
func BenchmarkRows(b *testing.B) {
	s, _ := alone(b)
	program := filepath.Join(s.dir, "portico-program")
	for _, g := range groups(s, starters(program)[:1], program, Options{Rounds: 1, MemoryRounds: 1}) {
		b.Run(dashed(g.name), func(b *testing.B) {
			for b.Loop() {
				rows, err := g.measure()
				if err != nil {
					b.Fatal(err)
				}
				for i, r := range rows {
					unit := dashed(r.unit)
					if i > 0 && r.unit == rows[0].unit {
						unit = dashed(r.name)
					}
					b.ReportMetric(spreadOf(r.values[portico]).median, unit)
				}
			}
			b.ReportMetric(0, "ns/op") // means nothing here
		})
	}
}

// dashed is a name without blanks and commas, as names of benchmarks and units have none.
func dashed(name string) string {
	return strings.NewReplacer(", ", "-", " ", "-", ",", "").Replace(name)
}
