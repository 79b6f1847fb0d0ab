package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portico/configs"
)

// reload reads configuration, certificates and keys again and puts all of it in force, or nothing. Sessions go on as
// they are. Keys that only a restart takes are named in the log. The store stays that of the start.
func (s *service) reload() error {
	ctx := context.Background()
	var loaded *configs.Config
	err := s.apply(ctx, func(*inForce) (next *inForce, err error) {
		if loaded, err = configs.Load(s.config.path); err != nil {
			return nil, err
		}
		return s.prepare(ctx, loaded)
	}, nil)
	if err != nil {
		return err
	}
	s.clients.listeners.closeOthers()
	for _, warning := range loaded.Warnings() {
		s.log.Warn().Msg(warning.Error())
	}
	if later := configs.NeedsRestart(s.config.started, s.current().config); len(later) > 0 {
		s.log.Warn().Strs("keys", slices.Sorted(slices.Values(later))).
			Msg("some changes need a restart")
	}
	return nil
}

// reloadAndTell reloads, and reports the outcome in the log and the metrics.
func (s *service) reloadAndTell() {
	s.log.Info().Str("config", s.config.path).Msg("reloading")
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

// reloadMetrics show whether the configuration in force is the one in the file.
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
