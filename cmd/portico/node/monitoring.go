package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portico/backend"
	"portico/cmd/portico/release"
	"portico/health"
	"portico/health/catalogue"
	"portico/health/components"
	"portico/health/maintenance"
	"portico/health/overrides"
	"portico/health/repairing"
)

// monitoring probes the node and what is behind it, and judges what it finds. It owns what operators change about
// that: overrides, repairing and maintenance. Each part guards itself.
type monitoring struct {
	engine      *health.Engine
	overrides   *overrides.Set
	repairing   *repairing.Set
	maintenance *maintenance.Set
	copies      copyHealth
	writers     health.Writers  // of ImapDeepTestProbe
	planning    sync.Mutex      // held while a plan is made and put in force; taken after configuration.changing
	ctx         context.Context // ends the probes, and what follows the store for them
	stop        func()          // ends ctx; nil before the probes run

	config  *configuration
	log     *nodeLog
	store   *nodeStore
	cluster *membership // nil for a node alone
	shared  *siteHealth // nil for a node alone
	mailbox *mailboxState
	clients *clientSide
	// sessions count for the mailbox servers that serve them
	sessions *carriedSessions
	// unusable says why nothing moves to a mailbox server, though users may be served elsewhere. Recovery knows.
	unusable func(server string) []string
	// compare compares a canary with the other servers.
	compare func(ctx context.Context, canary string) health.CanaryFigures
}

// start reads what is stored. Nothing is probed before run. evacuate moves what is active on a mailbox server.
func (m *monitoring) start(metrics prometheus.Registerer,
	evacuate func(ctx context.Context, server string) ([]backend.MoveResult, error)) error {
	flapping, save, err := m.store.saved("flapping of monitors", m.store.flapping)
	if err != nil {
		return err
	}
	m.copies.active, m.copies.log = m.mailbox.active, m.log
	m.engine = health.NewEngine(health.Options{Changed: m.monitorChanged, Saved: flapping, Save: save,
		Failed: m.log.reporter("flapping of monitors")})
	if m.shared, err = newSiteHealth(m.cluster, m.engine, m.copies.unreadable, m.plan, metrics); err != nil {
		return fmt.Errorf("health of the site: %w", err)
	}
	m.copies.most = m.shared.unreadable
	m.mailbox.circuitBreakers.OnFailure(func(server string) { m.engine.HurryAll(catalogue.ScopeServer, server) })
	if err := m.openOverrides(); err != nil {
		return err
	}
	if m.repairing, err = repairing.Open(context.Background(), m.store.repairing, m.engine,
		m.log.reporter("stored mark Repairing not usable")); err != nil {
		return fmt.Errorf("repairing: %w", err)
	}
	if err := m.openMaintenance(evacuate); err != nil {
		return err
	}
	return metrics.Register(m.engine)
}

// run starts the probes. They, and all that has the context m.ctx, end by stop or with the background.
func (m *monitoring) run(b *background) {
	m.ctx, m.stop = context.WithCancel(b.ctx)
	b.group.Go(func() { m.engine.Run(m.ctx) })
	m.shared.run(m.ctx, b)
}

// end ends the probes.
func (m *monitoring) end() {
	if m.stop != nil {
		m.stop()
	}
}

// openOverrides reads the overrides.
func (m *monitoring) openOverrides() (err error) {
	m.overrides, err = overrides.Open(context.Background(), overrides.Options{
		Stored: m.store.overrides, Version: release.Version(), Changed: m.plan,
		Ended: func(o health.Override) {
			m.log.Info().Str("identity", o.Identity).Str("property", o.Property).Msg("override expired")
		},
		Failed: m.log.reporter("stored override not usable"),
	})
	if err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	return nil
}

// openMaintenance reads which mailbox servers are in maintenance.
func (m *monitoring) openMaintenance(evacuate func(context.Context, string) ([]backend.MoveResult,
	error)) (err error) {
	m.maintenance, err = maintenance.Open(context.Background(), maintenance.Options{
		Stored: m.store.maintenance, Active: m.mailbox.active, Changed: m.plan, Evacuate: evacuate,
		Policy: func(server string) backend.Policy { return m.config.current().tier().Policy(server) },
		Began: func(server string) {
			m.log.Warn().Str("server", server).Msg("maintenance of a mailbox server started")
		},
		Failed: m.log.reporter("stored maintenance of a server not usable"),
	})
	if err != nil {
		return fmt.Errorf("maintenance: %w", err)
	}
	return nil
}

// plan puts in force which probes and monitors run: those of the configuration, with the overrides, without the servers
// in maintenance. It may be called by any goroutine.
func (m *monitoring) plan() {
	m.planning.Lock()
	defer m.planning.Unlock()
	plan := m.configured(m.config.current()).With(m.overrides.InForce(), time.Now(), release.Version())
	m.maintenance.SwitchOff(plan)
	m.shared.spread(plan)
	m.engine.Use(plan)
	m.repairing.Apply()
}

// takesClients is a check of /readyz: the probes of this node itself, not of what is behind it. What a mailbox server
// does is no reason to send clients to another node.
func (m *monitoring) takesClients() error {
	for _, s := range m.engine.Sets() {
		if catalogue.SetOf(s.Name).Component == components.ImapProxy &&
			(s.Value == health.Unhealthy || s.Value == health.Unavailable) {
			return fmt.Errorf("%s is %s", s.Name, s.Value)
		}
	}
	return nil
}

// monitorChanged logs a monitor's transitions.
func (m *monitoring) monitorChanged(before health.AlertValue, now health.MonitorState) {
	event := m.log.Info()
	if now.Value == health.Degraded || now.Value == health.Unhealthy || now.Value == health.Unavailable {
		event = m.log.Warn()
	}
	event = event.Str("health_set", now.HealthSet).Str("monitor", now.Name).Str("target", now.Target).
		Stringer("before", before).Stringer("now", now.Value)
	if f := now.LastFailure; f != nil && now.Value != health.Healthy {
		event = event.Str("dependency", string(f.Dependency)).Str("phase", f.Phase).Str("error", f.Err)
	}
	event.Msg("monitor changed state")
}

// verify runs the probe that a monitor judges.
func (m *monitoring) verify(ctx context.Context, of health.MonitorState) *health.Result {
	results, err := m.engine.RunNow(ctx, of.HealthSet, of.Probe, of.Target, health.ByHand{})
	if err != nil || len(results) != 1 {
		return nil
	}
	return results[0]
}

// lastFailure is what the monitor with an identity has found last; "" if it has never failed.
func (m *monitoring) lastFailure(id string) string {
	for _, of := range m.engine.Monitors() {
		if of.ID() == id && of.LastFailure != nil {
			return of.LastFailure.Err
		}
	}
	return ""
}

// serverFails returns why nothing must move to a mailbox server although it may answer, or nil.
func (m *monitoring) serverFails(server string) error {
	return health.ServerFails(server, m.engine.Monitors())
}

// unreadable says why the mail of the copy on a server cannot be read, if the monitor of the database says so, and most
// nodes that look.
func (m *monitoring) unreadable(database, server string) (f backend.Failure, unreadable bool) {
	if last := health.Unreadable(database, server, m.shared.believed(m.engine.Monitors())); last != nil {
		return failure(database, server, last.Err), true
	}
	return f, false
}
