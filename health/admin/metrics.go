package admin

import "github.com/prometheus/client_golang/prometheus"

// metrics count what guards the server.
type metrics struct {
	refused   *prometheus.CounterVec // by kind
	displaced prometheus.Counter
}

// newMetrics registers them. Without a registerer they are counted for nobody.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "portico_admin_requests_refused_total",
			Help: "Requests to the admin API that their sender may not make, by kind of refusal.",
		}, []string{"kind"}),
		displaced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "portico_admin_connections_displaced_total",
			Help: "Connections to the admin API that were closed because all were in use and a new one came.",
		}),
	}
	for _, kind := range []Kind{KindUnauthenticated, KindForbidden, KindMisdirected} {
		m.refused.WithLabelValues(string(kind))
	}
	if reg != nil {
		reg.MustRegister(m.refused, m.displaced)
	}
	return m
}
