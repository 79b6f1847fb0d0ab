package protolog

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// drop is why a row was not written, or not shown to somebody who watches.
type drop uint8

const (
	dropRing  drop = iota // more events than the log could take
	dropQueue             // the disk does not keep up
	dropDisk              // the disk takes nothing
	dropTail              // who watches is too slow
	numDrops
)

var dropNames = [numDrops]string{"events", "queue", "disk", "watcher"}

// counts is what the log counts. Safe for concurrent use.
type counts struct {
	rows     atomic.Uint64
	failures atomic.Uint64
	dropped  [numDrops]atomic.Uint64
}

var (
	rowsDesc = prometheus.NewDesc("portico_protocol_log_rows_total",
		"Rows written to the protocol log's files.", nil, nil)
	droppedDesc = prometheus.NewDesc("portico_protocol_log_dropped_total",
		"Rows of the protocol log that were not written, or not shown to a follower.", []string{"reason"}, nil)
	failuresDesc = prometheus.NewDesc("portico_protocol_log_write_failures_total",
		"Failed attempts to write the protocol log.", nil, nil)
	failingDesc = prometheus.NewDesc("portico_protocol_log_failing",
		"Whether the protocol log cannot be written: 1 or 0.", nil, nil)
	rulesDesc    = prometheus.NewDesc("portico_protocol_log_rules", "Active rules of the protocol log.", nil, nil)
	watchersDesc = prometheus.NewDesc("portico_protocol_log_watchers",
		"Clients that follow the protocol log.", nil, nil)
)

// collector collects a log's metrics.
type collector struct{ log *Log }

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{rowsDesc, droppedDesc, failuresDesc, failingDesc, rulesDesc, watchersDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s, n := c.log.Status(), &c.log.counts
	ch <- prometheus.MustNewConstMetric(rowsDesc, prometheus.CounterValue, float64(n.rows.Load()))
	for i, name := range dropNames {
		ch <- prometheus.MustNewConstMetric(droppedDesc, prometheus.CounterValue, float64(n.dropped[i].Load()), name)
	}
	ch <- prometheus.MustNewConstMetric(failuresDesc, prometheus.CounterValue, float64(n.failures.Load()))
	failing := 0.0
	if s.Failing != "" {
		failing = 1
	}
	ch <- prometheus.MustNewConstMetric(failingDesc, prometheus.GaugeValue, failing)
	ch <- prometheus.MustNewConstMetric(rulesDesc, prometheus.GaugeValue, float64(len(s.Rules)))
	ch <- prometheus.MustNewConstMetric(watchersDesc, prometheus.GaugeValue, float64(s.Watchers))
}
