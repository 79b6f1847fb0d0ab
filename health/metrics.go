package health

import (
	"github.com/prometheus/client_golang/prometheus"
)

var (
	stateDesc = prometheus.NewDesc("portico_monitor_state",
		"State of a monitor: 0 healthy, 1 degraded, 2 unhealthy, 3 unavailable, -1 repairing, -2 disabled, -3 no "+
			"result yet.",
		[]string{"health_set", "monitor", "target"}, nil)
	probeDesc = prometheus.NewDesc("portico_probe_duration_seconds", "Duration of the latest run of a probe.",
		[]string{"probe", "target"}, nil)
)

// stateNumbers are the values of portico_monitor_state.
var stateNumbers = [...]float64{Healthy: 0, Degraded: 1, Unhealthy: 2, Unavailable: 3, Repairing: -1, Disabled: -2,
	UnInitialized: -3}

// Describe implements prometheus.Collector.
func (e *Engine) Describe(ch chan<- *prometheus.Desc) {
	ch <- stateDesc
	ch <- probeDesc
}

// Collect implements prometheus.Collector.
func (e *Engine) Collect(ch chan<- prometheus.Metric) {
	for _, m := range e.Monitors() {
		if m.Elsewhere { // other nodes count it
			continue
		}
		ch <- prometheus.MustNewConstMetric(stateDesc, prometheus.GaugeValue, stateNumbers[m.Value], m.HealthSet,
			m.Name, m.Target)
	}
	for _, p := range e.Probes() {
		if len(p.Results) > 0 && !p.Elsewhere {
			last := p.Results[0]
			ch <- prometheus.MustNewConstMetric(probeDesc, prometheus.GaugeValue, last.End.Sub(last.Start).Seconds(),
				p.Name, p.Target)
		}
	}
}
