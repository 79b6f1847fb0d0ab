//go:build unix

package peers

import (
	"crypto/tls"
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

// BenchmarkSignIn prints what a sign-in costs Portico.
func BenchmarkSignIn(b *testing.B) {
	s, p := alone(b)
	for _, overTLS := range []bool{false, true} {
		name, config := "plain", (*tls.Config)(nil)
		if overTLS {
			name, config = "tls", s.client
		}
		b.Run(name, func(b *testing.B) {
			done := 0
			spent, _, err := p.spentOn(func() error {
				for b.Loop() {
					clients, err := signInMany(p.address(overTLS), config, 100)
					closeAll(clients)
					if err != nil {
						return err
					}
					done += 100
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(micros(spent.cpu)/float64(done), "us-CPU/sign-in")
			b.ReportMetric(0, "ns/op") // means nothing here
		})
	}
}

// BenchmarkIdle prints what an idle session takes.
func BenchmarkIdle(b *testing.B) {
	s, _ := alone(b)
	all := starters(filepath.Join(s.dir, "portico-program"))
	for way, w := range memoryWays {
		b.Run(strings.ReplaceAll(w.name, " ", "-"), func(b *testing.B) {
			fresh, err := sessionMemory(s, all[0], way, idleSessions, 0)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(fresh, "KiB/session")
			b.ReportMetric(0, "ns/op") // means nothing here
		})
	}
}
