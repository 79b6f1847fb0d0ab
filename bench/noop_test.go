package bench

import (
	"testing"
	"time"
)

// BenchmarkNoop shows what the tool itself can do: the sink answers as fast as it can.
func BenchmarkNoop(b *testing.B) {
	o := Options{
		Targets: []Target{target(b, startSink(b))}, Users: someUsers(1), Profile: builtInProfile(b, "noop"),
		Sessions: 50, Duration: 2 * time.Second, Closed: true,
	}
	for b.Loop() {
		report := mustRun(b, o)
		b.ReportMetric(report.Totals.CommandsPerSecond, "commands/s")
		b.ReportMetric(report.Tool.CPU*1e6/float64(report.Totals.Commands), "us/command")
	}
}
