package node

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portico/backend"
	"portico/configs/store"
	"portico/configs/store/etcdstore"
	"portico/health/admin"
)

// Why a move is refused, as the label reason.
const (
	refusedAbsent = "absent" // a node is absent, and may still serve users
	refusedEtcd   = "etcd"   // etcd cannot be asked
)

// clusterMetrics are those of a node in a cluster. A node without one has none.
type clusterMetrics struct {
	etcd    *prometheus.HistogramVec
	refused *prometheus.CounterVec
}

func newClusterMetrics() clusterMetrics {
	m := clusterMetrics{
		etcd: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "portico_cluster_store_duration_seconds",
			Help: "How long etcd took to answer, or not to: to changes (change), and to whether it still answers, " +
				"which is asked every two seconds (ask).",
			Buckets:                     []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		}, []string{"op"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "portico_cluster_moves_refused_total",
			Help: "Moves of databases and users that began here and did not happen: because a node was absent (absent), " +
				"or etcd did not answer (etcd).",
		}, []string{"reason"}),
	}
	for _, reason := range []string{refusedAbsent, refusedEtcd} {
		m.refused.WithLabelValues(reason)
	}
	for _, op := range []string{etcdstore.OpAsk, etcdstore.OpChange} {
		m.etcd.WithLabelValues(op)
	}
	return m
}

// answered notes how long etcd took.
func (m clusterMetrics) answered(op string, took time.Duration) {
	m.etcd.WithLabelValues(op).Observe(took.Seconds())
}

// moved counts a move that the other nodes or etcd did not allow. err is the move's.
func (m *membership) moved(err error) {
	switch {
	case m == nil:
	case errors.Is(err, backend.ErrAbsent):
		m.metrics.refused.WithLabelValues(refusedAbsent).Inc()
	case errors.Is(err, store.ErrAway), errors.Is(err, store.ErrFull), errors.Is(err, etcdstore.ErrRestored):
		m.metrics.refused.WithLabelValues(refusedEtcd).Inc()
	}
}

var (
	clusterNodesDesc = prometheus.NewDesc("portico_cluster_nodes",
		"Registered nodes of the site, as this one sees them.", []string{"state"}, nil)
	clusterStoreDesc = prometheus.NewDesc("portico_cluster_store_up",
		"Whether this node follows what the site keeps in etcd, and can change it: 1 or 0.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m *membership) Describe(out chan<- *prometheus.Desc) {
	out <- clusterNodesDesc
	out <- clusterStoreDesc
	m.metrics.etcd.Describe(out)
	m.metrics.refused.Describe(out)
}

// Collect implements prometheus.Collector.
func (m *membership) Collect(out chan<- prometheus.Metric) {
	counts := map[string]int{admin.NodePresent: 0, admin.NodeAbsent: 0, admin.NodeStopped: 0}
	for _, node := range m.self.Nodes() {
		counts[clusterNode(node).State]++
	}
	for state, n := range counts {
		out <- prometheus.MustNewConstMetric(clusterNodesDesc, prometheus.GaugeValue, float64(n), state)
	}
	out <- prometheus.MustNewConstMetric(clusterStoreDesc, prometheus.GaugeValue, oneIf(m.follows() == nil))
	m.metrics.etcd.Collect(out)
	m.metrics.refused.Collect(out)
}
