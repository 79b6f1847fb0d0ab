package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portico/backend"
	"portico/configs"
	"portico/health/admin"
	"portico/proxy"
)

// reload reads configuration, certificates and keys again and puts all of it in force, or nothing. Sessions go on as
// they are. Keys that only a restart takes are named in the log.
func (s *service) reload() error {
	s.changing.Lock()
	defer s.changing.Unlock()
	loaded, err := configs.Load(s.file)
	if err != nil {
		return err
	}
	config, err := s.withStored(loaded) // the store stays that of the start, whatever data_dir says now
	if err != nil {
		return err
	}
	access, err := adminAccess(config.Admin)
	if err != nil {
		return err
	}
	nodes, err := newNodes(config)
	if err != nil {
		return err
	}
	front, err := newFront(context.Background(), config, s.lasting)
	if err != nil {
		return err
	}
	if err := s.enforce(context.Background(), access, front, front.settings(config), nil); err != nil {
		return err
	}
	s.bound(config)
	s.logMovedServers(config)
	s.sink.setLevel(config.Log.Level)
	s.access, s.config, s.inFile = access, config, loaded.Settings
	s.nodes.Store(&nodes)
	s.useHealthPlan()
	s.escalator.Use(s.sinks(config), config.Health.Recovery.CommonCausePercent, config.Health.Escalate.Gather)
	s.healthOf.Store(&config.Health)
	s.backups.Store(int64(config.Store.Backups))
	s.recovery.Use(recoveryPlan(config.Health.Recovery))
	for _, warning := range loaded.Warnings() {
		s.log.Warn().Msg(warning.Error())
	}
	later := configs.NeedsRestart(s.started, config)
	if len(later) > 0 {
		s.log.Warn().Strs("keys", slices.Sorted(slices.Values(later))).
			Msg("some changes need a restart")
	}
	return nil
}

// enforce puts all in force, or leaves what was, in the store too: what can be refused is asked first. keep, which may
// be nil, stores what is changed. The databases come last, as they write down what is seen for the first time. Of the
// old and the new mailbox tier, the one that is not in force in the end is closed, as soon as no sign-in uses it.
func (s *service) enforce(ctx context.Context, access admin.Access, f *front, settings proxy.Settings,
	keep func() error) (err error) {
	before := s.front.Load()
	if f != before {
		defer func() {
			if err != nil {
				f.tier.Close()
			}
		}()
	}
	if err := s.server.CheckReload(settings); err != nil {
		return err
	}
	err = s.admin.Reload(access)
	if err == nil {
		err = s.use(f)
	}
	if err == nil && keep != nil {
		err = keep()
	}
	if err == nil {
		err = s.configure(ctx, f.tier)
	}
	if err != nil {
		return errors.Join(err, s.admin.Reload(s.access), s.use(before))
	}
	return s.server.Reload(settings, func() { s.group.Go(before.tier.Close) }) // a directory may take its time
}

// configure puts a tier's databases in force, and logs what is new about them.
func (s *service) configure(ctx context.Context, tier *backend.Tier) error {
	adopted, err := tier.Configure(ctx)
	for _, a := range adopted {
		switch {
		case a.Lost:
			s.log.Error().Str("database", a.Database).Str("server", a.Server).
				Msg("the server with the active copy is not among the configured copies: no user is admitted until " +
					"portico database move")
		case a.From != "":
			s.log.Warn().Str("database", a.Database).Str("before", a.From).Str("server", a.Server).
				Msg("database renamed: it stays where it is active, and its sessions end, as in a move")
			s.group.Go(func() { s.server.EndDatabase(a.From, moveSpread) })
		default:
			s.log.Info().Str("database", a.Database).Str("server", a.Server).
				Msg("recorded the active copy of a new database")
		}
	}
	return err
}

// bound tells relay and protocol log what holds for all sessions.
func (s *service) bound(config *configs.Config) {
	s.relay.Retime(config.Settings.AuthenticatedConnectionTimeout, config.KeepaliveIdle)
	s.protocol.Configure(protocolSettings(config))
	s.healthBoxes.Store(config.Health.Mailboxes)
	s.relay.Limit(config.Settings.MaxCommandsPerSecond, config.Settings.MaxCommandsBurst)
}

// logMovedServers logs each mailbox server whose addresses a new configuration changes. The caller still has the old
// one in force.
func (s *service) logMovedServers(config *configs.Config) {
	for _, name := range slices.Sorted(maps.Keys(config.MailboxServers)) {
		before, known := s.config.MailboxServers[name]
		if !known {
			continue
		}
		from, to := before.Targets(s.config.Settings.ProxyTargetPort),
			config.MailboxServers[name].Targets(config.Settings.ProxyTargetPort)
		if !slices.Equal(from, to) {
			s.log.Info().Str("server", name).Strs("old", from).Strs("new", to).
				Msg("address of a mailbox server changed")
		}
	}
}

// reloadAndTell reports a reload's outcome to everybody who may want to know.
func (s *service) reloadAndTell() {
	s.log.Info().Str("config", s.file).Msg("reloading")
	err := s.reload()
	s.reloads.count(err, time.Now())
	if problems, ok := err.(configs.Problems); ok {
		for _, problem := range problems.Errors() {
			s.log.Error().Msg(problem.Error())
		}
		err = fmt.Errorf("%d errors in the file", len(problems.Errors()))
	}
	if err != nil {
		s.log.Error().Err(err).Msg("configuration not reloaded: nothing has changed")
		return
	}
	s.log.Info().Msg("reloaded")
}

// reloadMetrics tell whether what runs is what the file says.
type reloadMetrics struct {
	good prometheus.Gauge
	at   prometheus.Gauge
}

func newReloadMetrics(reg prometheus.Registerer) *reloadMetrics {
	m := &reloadMetrics{
		good: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "portico_config_last_reload_successful",
			Help: "Whether the configuration was valid when it was last read: 1 or 0.",
		}),
		at: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "portico_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration in use was read.",
		}),
	}
	reg.MustRegister(m.good, m.at)
	m.count(nil, time.Now())
	return m
}

func (m *reloadMetrics) count(err error, now time.Time) {
	if err != nil {
		m.good.Set(0)
		return
	}
	m.good.Set(1)
	m.at.Set(float64(now.UnixMilli()) / 1e3)
}
