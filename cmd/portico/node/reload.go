package node

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portico/configs"
)

// bySignal is who applies the file at a SIGHUP.
const bySignal = "SIGHUP"

// reload applies the configuration file, and reads certificates and keys again. A file that was withdrawn, or that an
// operator has rolled back from, is not applied again until it is edited.
func (s *service) reload() error {
	text, err := configs.Read(s.config.path)
	if err != nil {
		return err
	}
	c := candidate{text: text, name: s.config.path, who: bySignal, from: s.config.path}
	if decided, refused := s.applies.kept.Decided(text); decided && !refused {
		inForce := s.applies.current()
		if c.text = inForce.text; !bytes.Equal(text, c.text) {
			c.name = s.numbered(inForce.number)
			s.log.Warn().Int("configuration", inForce.number).
				Msg("the file is not applied: it has not changed since it was withdrawn or replaced; " +
					"portico config apply applies it")
		}
	}
	_, err = s.applies.begin(context.Background(), c)
	return err
}

// numbered names an earlier configuration in messages.
func (s *service) numbered(number int) string {
	return fmt.Sprintf("%s (configuration %d)", s.config.path, number)
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
			Help: "Whether the configuration that was last read is in force: 1 or 0.",
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
