package node

import (
	"context"
	cryptorand "crypto/rand"

	"github.com/prometheus/client_golang/prometheus"

	"portico/cluster"
	"portico/cluster/counts"
	"portico/cluster/keyring"
)

// ticketsKey is where the site's store has the keys of session tickets.
const ticketsKey = "tickets"

// shareClients begins what the nodes of a site do together for clients, beside the store's entries: they add up their
// largest counts, have the same keys of session tickets, pause mailbox servers together, and share the pace of
// sign-ins.
func shareClients(site *membership, clients *clientSide, mailbox *mailboxState, background *background,
	metrics prometheus.Registerer) error {
	if site == nil {
		return nil
	}
	background.runOwned(mailbox.pauses.Run)
	background.runOwned(func(ctx context.Context) { sharePace(ctx, site.self, mailbox) })
	background.runOwned(keyring.New(keyring.Options{Store: site.store, Key: ticketsKey, Every: rotateEvery,
		Leads: site.election.Leads, Use: clients.tickets.Share, Random: cryptorand.Reader,
		Failed: site.log.reporter("keys of session tickets")}).Run)
	if clients.seed == nil {
		return nil
	}
	exchange, err := counts.New(counts.Options{Store: site.store, Name: site.self.Name(), Present: site.self.Present,
		Kinds: clients.server.Counted(), Random: cryptorand.Reader,
		Failed: site.log.reporter("counts of clients, over all nodes")})
	if err != nil {
		return err
	}
	metrics.MustRegister(countMetrics(exchange)...)
	background.runOwned(exchange.Run)
	return nil
}

// sharePace divides the pace of sign-ins by the nodes that are present, until ctx ends.
func sharePace(ctx context.Context, self *cluster.Member, mailbox *mailboxState) {
	changed := self.Changed(ctx)
	for {
		mailbox.signinQueues.Share(len(self.Present()))
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// countMetrics show whether nodes know of each other's counts.
func countMetrics(of *counts.Exchange) []prometheus.Collector {
	gauge := func(from string, value func(counts.State) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "portico_cluster_counts", ConstLabels: prometheus.Labels{"from": from},
			Help: "Large counts of clients that this node tells the others (own), and those of others that it adds (others).",
		}, func() float64 { return float64(value(of.State())) })
	}
	return []prometheus.Collector{
		gauge("own", func(s counts.State) int { return s.Told }),
		gauge("others", func(s counts.State) int { return s.Heard }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "portico_cluster_count_failures_total",
			Help: "Lists of counts that this node could not write for the others.",
		}, func() float64 { return float64(of.State().Failed) }),
	}
}
