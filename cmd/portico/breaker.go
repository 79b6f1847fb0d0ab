package main

import "github.com/prometheus/client_golang/prometheus"

var breakerOpen = prometheus.NewDesc("portico_server_breaker_open",
	"Whether sign-ins leave a mailbox server alone since it has failed too often: 1 or 0.", []string{"server"}, nil)

// breakerCollector tells of the breakers of the mailbox servers there are.
type breakerCollector struct{ s *service }

// Describe implements prometheus.Collector.
func (c breakerCollector) Describe(to chan<- *prometheus.Desc) { to <- breakerOpen }

// Collect implements prometheus.Collector.
func (c breakerCollector) Collect(to chan<- prometheus.Metric) {
	front := c.s.front.Load()
	if front == nil {
		return
	}
	open := c.s.breakers.Open()
	for _, server := range front.tier.Servers() {
		value := 0.0
		if open[server] {
			value = 1
		}
		to <- prometheus.MustNewConstMetric(breakerOpen, prometheus.GaugeValue, value, server)
	}
}
