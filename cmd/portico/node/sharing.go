package node

import (
	"context"
	cryptorand "crypto/rand"

	"github.com/prometheus/client_golang/prometheus"

	"portico/backend"
	"portico/cluster"
	"portico/cluster/heavy"
	"portico/cluster/keyring"
	"portico/configs/store"
)

// sharing is what nodes of a site do together beside the store's entries: they add up their largest counts of clients,
// have the same keys of session tickets, pause mailbox servers together, and share the pace of sign-ins. It is nil for
// a node alone.
type sharing struct {
	self    *cluster.Member
	leads   func() bool // whether this node is the site's leader
	store   store.Store // of the site
	clients *clientSide
	mailbox *mailboxState
	log     *nodeLog
}

func newSharing(site *membership, clients *clientSide, mailbox *mailboxState) *sharing {
	if site == nil {
		return nil
	}
	return &sharing{self: site.self, leads: site.leader.Leads, store: site.store, clients: clients, mailbox: mailbox,
		log: site.log}
}

// ticketsKey is where the site's store has the keys of session tickets.
const ticketsKey = "tickets"

// prepare reads what the parts need before they start. If the store has no seed that can be read, this node counts
// alone until its next start.
func (s *sharing) prepare(ctx context.Context) {
	if s == nil {
		return
	}
	seed, err := heavy.Seed(ctx, s.store, cryptorand.Reader)
	if err != nil {
		s.log.report("limits and penalties count on this node alone until its next start", err)
	}
	s.clients.seed = seed
	s.mailbox.pauses = backend.NewPauses(s.store, s.mailbox.signinQueues, s.log.reporter("pauses of mailbox servers"))
}

// start starts to share, once clients can be counted.
func (s *sharing) start(background *background, metrics prometheus.Registerer) error {
	if s == nil {
		return nil
	}
	background.runOwned(s.mailbox.pauses.Run)
	background.runOwned(s.sharePace)
	background.runOwned(keyring.New(keyring.Options{Store: s.store, Key: ticketsKey, Every: rotateEvery, Leads: s.leads,
		Use: s.clients.tickets.Share, Random: cryptorand.Reader,
		Failed: s.log.reporter("keys of session tickets")}).Run)
	if s.clients.seed == nil {
		return nil
	}
	counts, err := heavy.New(heavy.Options{Store: s.store, Name: s.self.Name(), Present: s.self.Present,
		Kinds: s.clients.server.Counted(), Random: cryptorand.Reader,
		Failed: s.log.reporter("counts of clients, over all nodes")})
	if err != nil {
		return err
	}
	metrics.MustRegister(countMetrics(counts)...)
	background.runOwned(counts.Run)
	return nil
}

// sharePace divides the pace of sign-ins by the nodes that are present, until ctx ends.
func (s *sharing) sharePace(ctx context.Context) {
	changed := s.self.Changed(ctx)
	for {
		s.mailbox.signinQueues.Share(len(s.self.Present()))
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// countMetrics show whether nodes know of each other's counts.
func countMetrics(counts *heavy.Exchange) []prometheus.Collector {
	gauge := func(from string, value func(heavy.State) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "portico_cluster_counts", ConstLabels: prometheus.Labels{"from": from},
			Help: "Large counts of clients that this node tells the others (own), and those of others that it adds (others).",
		}, func() float64 { return float64(value(counts.State())) })
	}
	return []prometheus.Collector{
		gauge("own", func(s heavy.State) int { return s.Told }),
		gauge("others", func(s heavy.State) int { return s.Heard }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "portico_cluster_count_failures_total",
			Help: "Lists of counts that this node could not write for the others.",
		}, func() float64 { return float64(counts.State().Failed) }),
	}
}
