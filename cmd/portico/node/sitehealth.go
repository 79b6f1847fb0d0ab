package node

import (
	"context"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"portico/cluster"
	"portico/health"
	"portico/health/recovery"
	"portico/health/witness"
)

// siteHealth is how this node shares health with the others of its site: which node looks after mailbox servers, and
// which look at what. It is nil for a node alone. It is safe for concurrent use.
type siteHealth struct {
	leader  *cluster.Election
	witness *witness.Witness
}

// newSiteHealth joins the nodes of the site in that. copies are those that this node cannot read. changed is called
// when this node looks at other targets than before.
func newSiteHealth(m *membership, engine *health.Engine, copies func() []string, changed func(),
	metrics prometheus.Registerer) (*siteHealth, error) {
	if m == nil {
		return nil, nil
	}
	seen, err := witness.Open(context.Background(), witness.Options{
		Store: m.store, Node: m.self.Name(), Present: m.self.Present, Monitors: engine.Monitors, Report: engine.Report,
		Hurry: engine.Hurry, Copies: copies, Changed: changed, Failed: m.log.reporter("health of the site"),
	})
	if err != nil {
		return nil, err
	}
	s := &siteHealth{m.election, seen}
	return s, metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "portico_cluster_leader",
		Help: "Whether this node is the one that looks after the mailbox servers of its site: 1 or 0.",
	}, func() float64 { return oneIf(s.leader.Leads()) }))
}

// run takes part until ctx ends.
func (s *siteHealth) run(ctx context.Context, b *background) {
	if s == nil {
		return
	}
	b.group.Go(func() { s.leader.Run(ctx) })
	b.group.Go(func() { s.witness.Run(ctx) })
}

// spread leaves probes to the other nodes that look at their targets.
func (s *siteHealth) spread(plan health.Plan) {
	if s != nil {
		plan.LeaveTo(s.witness.Looks)
	}
}

// recovery is what recovery needs of the site, nil for a node alone.
func (s *siteHealth) recovery() *recovery.Site {
	if s == nil {
		return nil
	}
	return &recovery.Site{Leads: s.leader.Leads, Resign: s.leader.Resign, Against: s.witness.Against}
}

// unreadable says whether most nodes cannot read a copy, and which do not say so. A node alone goes by what it finds.
func (s *siteHealth) unreadable(target string, own bool) (most bool, others []string) {
	if s == nil {
		return own, nil
	}
	return s.witness.Unreadable(target, own)
}

// believed leaves out what fails for this node, and not for most nodes that look at it.
func (s *siteHealth) believed(all []health.MonitorState) []health.MonitorState {
	if s == nil {
		return all
	}
	return slices.DeleteFunc(all, func(m health.MonitorState) bool {
		return m.Failing() && len(s.witness.Against(m)) > 0
	})
}
