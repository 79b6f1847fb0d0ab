package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// collected lists a collector's metrics, each with its labels' values.
func collected(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, family := range families {
		for _, m := range family.Metric {
			var labels []string
			for _, pair := range m.Label {
				labels = append(labels, pair.GetValue())
			}
			all = append(all, fmt.Sprintf("%s{%s} %g", family.GetName(), strings.Join(labels, ","),
				m.Gauge.GetValue()))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// A monitor has its state from the start, and a probe its duration once it has run.
func TestMetrics(t *testing.T) {
	e := engineByHand(func(context.Context, *Run) error { return errors.New("no") })
	const none = "portico_monitor_state{S,M,mbx1} -3"
	if got := collected(t, e); got != none {
		t.Errorf("before a run:\n%s", got)
	}
	hand(t, e)
	got := collected(t, e)
	if monitor, probe, _ := strings.Cut(got, "\n"); monitor != none ||
		!strings.HasPrefix(probe, "portico_probe_duration_seconds{P,mbx1} ") {
		t.Errorf("after a run by hand:\n%s", got)
	}
}
