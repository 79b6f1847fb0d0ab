package node

import "github.com/prometheus/client_golang/prometheus"

var (
	breakerOpen = prometheus.NewDesc("portico_server_breaker_open",
		"Whether the circuit breaker of a mailbox server is open, so that sign-ins avoid the server: 1 or 0.",
		[]string{"server"}, nil)
	signInsHeld = prometheus.NewDesc("portico_server_signins_held",
		"Sign-ins held for a mailbox server that is paused or admits them at a limited rate.",
		[]string{"server"}, nil)
	suspended = prometheus.NewDesc("portico_databases_suspended",
		"Databases that admit no user, because a move failed half way or their active copy is not configured.",
		nil, nil)
)

var failedCopies = prometheus.NewDesc("portico_database_copies_failed",
	"Copies of databases whose mail could not be read, and that no probe has read since.", nil, nil)

var canaryPercent = prometheus.NewDesc("portico_canary_percent",
	"Users of a database, in percent, that a canary sends to its server; without those that it names.",
	[]string{"canary"}, nil)

// tierCollector shows the state of mailbox servers and databases.
type tierCollector struct {
	config  *configuration
	mailbox *mailboxState
}

// Describe implements prometheus.Collector.
func (c tierCollector) Describe(to chan<- *prometheus.Desc) {
	to <- breakerOpen
	to <- signInsHeld
	to <- suspended
	to <- failedCopies
	to <- canaryPercent
}

// Collect implements prometheus.Collector.
func (c tierCollector) Collect(to chan<- prometheus.Metric) {
	front := c.config.current().front
	if front == nil {
		return
	}
	open := c.mailbox.circuitBreakers.Open()
	for _, server := range front.tier.Servers() {
		to <- prometheus.MustNewConstMetric(breakerOpen, prometheus.GaugeValue, one(open[server]), server)
		to <- prometheus.MustNewConstMetric(signInsHeld, prometheus.GaugeValue,
			float64(c.mailbox.signinQueues.State(server).Waiting), server)
	}
	for _, c := range c.mailbox.active.Canaries() {
		to <- prometheus.MustNewConstMetric(canaryPercent, prometheus.GaugeValue, c.Percent, c.Name)
	}
	unread := 0
	failed := make(map[string]bool)
	for _, copied := range front.tier.ActiveManager().Copies() {
		if (copied.Suspended || copied.Lost) && !copied.Moving {
			failed[copied.Database] = true
		}
		if copied.Failed != "" {
			unread++
		}
	}
	to <- prometheus.MustNewConstMetric(suspended, prometheus.GaugeValue, float64(len(failed)))
	to <- prometheus.MustNewConstMetric(failedCopies, prometheus.GaugeValue, float64(unread))
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
