package exposition

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Histograms gathers from another gatherer. While Classic returns false, it leaves out the classic buckets of
// histograms that have native ones too. It is for concurrent use if From and Classic are.
type Histograms struct {
	From    prometheus.Gatherer // what it gathers belongs to the caller, as that of a prometheus.Registry does
	Classic func() bool
}

// Gather implements prometheus.Gatherer.
func (h Histograms) Gather() ([]*dto.MetricFamily, error) {
	families, err := h.From.Gather()
	if h.Classic() {
		return families, err
	}
	for _, family := range families {
		for _, m := range family.Metric {
			if m.Histogram != nil && m.Histogram.Schema != nil {
				m.Histogram.Bucket = nil
			}
		}
	}
	return families, err
}
