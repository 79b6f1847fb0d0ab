package node

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"portico/cmd/portico/release"
)

// newBuildInfo returns a metric that says which Portico runs.
func newBuildInfo() prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "portico_build_info", Help: "Always 1. The labels say which Portico runs.",
		ConstLabels: prometheus.Labels{
			"version": release.Version(), "revision": release.Revision(), "goversion": runtime.Version(),
		},
	})
	info.Set(1)
	return info
}
