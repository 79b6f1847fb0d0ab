package protolog

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Each metric says what the log has counted, and nothing else.
func TestMetrics(t *testing.T) {
	l := newIdleLog(t, newClock(noon))
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(collector{l}); err != nil {
		t.Fatal(err)
	}
	l.SetRules([]Rule{{ID: "r1"}})
	if _, err := l.Tail(Filter{}, CSV); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"rows_total": 2, "rules": 2, "watchers": 1, "failing": 0, "write_failures_total": 0}
	for reason, n := range map[string]int{"events": 3, "queue": 4, "disk": 5, "watcher": 6} {
		want["dropped_total "+reason] = float64(n)
		l.counts.dropped[n-3].Store(uint64(n))
	}
	say(l, 0, testSubject, "noop", 0)
	say(l, 0, testSubject, "noop", 0)
	l.collect()
	l.written()
	l.writer.finishFile()
	wantMetrics(t, registry, want)

	l.writer.writeAt = func(*os.File, []byte, int64) (int, error) { return 0, errors.New("broken") }
	say(l, 0, testSubject, "noop", 0)
	l.collect()
	l.written()
	want["failing"], want["write_failures_total"], want["dropped_total disk"] = 1, 1, 6
	wantMetrics(t, registry, want)
}

func wantMetrics(t *testing.T, from prometheus.Gatherer, want map[string]float64) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.Metric {
			name := family.GetName()[len("portico_protocol_log_"):]
			for _, label := range m.Label {
				name += " " + label.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("metrics are %v\nwant        %v", got, want)
	}
}
