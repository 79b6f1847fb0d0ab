//go:build unix

package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkProtocolLog prints what a command costs Portico with the protocol log on for everybody, at full load, and
// by how much that is more than what it costs another one at the same time, whose log is off.
func BenchmarkProtocolLog(b *testing.B) {
	s, off := alone(b)
	program := filepath.Join(s.dir, "portico-program")
	on, err := startPortico(s, "portico-logging", program, false, 1)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(on.Stop)
	if out, err := exec.Command(program, "log", "on", "--for", "0s", "--admin",
		on.admin).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	for _, l := range loads() {
		if l.tls || l.units != 50*400/1e6 && l.units != 50*100/1e6 {
			continue
		}
		b.Run(l.name, func(b *testing.B) {
			sessions := make(map[*Peer][]*client)
			for _, p := range []*Peer{off, on} {
				opened, err := l.open(s, p)
				defer closeAll(opened)
				if err == nil {
					err = l.work(opened) // what is first is not measured
				}
				if err != nil {
					b.Fatal(err)
				}
				sessions[p] = opened
			}
			costs := make(map[*Peer][]float64)
			var ratios []float64
			for range 15 {
				for _, p := range []*Peer{off, on} {
					spent, _, err := p.spentOn(func() error {
						err := l.work(sessions[p])
						time.Sleep(50 * time.Millisecond) // its rows are part of it
						return err
					})
					if err != nil {
						b.Fatal(err)
					}
					costs[p] = append(costs[p], micros(spent.cpu)/(l.units*1e6))
				}
				ratios = append(ratios, last(costs[on])/last(costs[off]))
			}
			b.ReportMetric(spreadOf(costs[off]).median, "us-CPU-off")
			b.ReportMetric(spreadOf(costs[on]).median, "us-CPU-on")
			b.ReportMetric(spreadOf(ratios).median, "on/off")
			b.ReportMetric(0, "ns/op") // means nothing here
		})
	}
	out, err := exec.Command(program, "log", "status", "--admin", on.admin).CombinedOutput()
	fmt.Fprintf(os.Stderr, "%s", out)
	if err != nil {
		b.Error(err)
	}
}

func last(values []float64) float64 { return values[len(values)-1] }
