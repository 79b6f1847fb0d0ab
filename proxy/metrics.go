package proxy

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"portico/backend"
	"portico/proxy/relay"
)

// phase is a part of the set-up whose duration is measured.
type phase uint8

const (
	phaseTLS          phase = iota // handshake with the client
	phaseConversation              // from connecting until the sign-in command is read
	phaseRoute
	phaseDial
	phaseServerTLS
	phaseGreeting
	phaseSignIn
	phaseTotal // from the sign-in command read to the mailbox server's answer
	numPhases
)

var phaseNames = [numPhases]string{
	"tls", "conversation", "route", "dial", "server_tls", "greeting", "signin", "total",
}

// phaseOfStep maps the phases that the backend measures.
var phaseOfStep = map[string]phase{
	backend.PhaseDial:     phaseDial,
	backend.PhaseTLS:      phaseServerTLS,
	backend.PhaseGreeting: phaseGreeting,
	backend.PhaseSignIn:   phaseSignIn,
}

// phases has one histogram for each, of the relay's kind: a sign-in has half a dozen, and Prometheus's own cost
// several times as much to count. It is its own collector. Safe for concurrent use.
type phases struct {
	mu         sync.Mutex
	histograms [numPhases]relay.Histogram
}

func (p *phases) observe(at phase, d time.Duration) {
	p.mu.Lock()
	p.histograms[at].Observe(d.Nanoseconds())
	p.mu.Unlock()
}

var phasesDesc = prometheus.NewDesc("portico_signin_duration_seconds", "Duration of each phase of a sign-in.",
	[]string{"phase"}, nil)

// Describe implements prometheus.Collector.
func (p *phases) Describe(ch chan<- *prometheus.Desc) { ch <- phasesDesc }

// Collect implements prometheus.Collector.
func (p *phases) Collect(ch chan<- prometheus.Metric) {
	p.mu.Lock()
	taken := p.histograms
	p.mu.Unlock()
	for at, name := range phaseNames {
		ch <- histogramMetric{phasesDesc, &taken[at], []*dto.LabelPair{labelPair("phase", name)}}
	}
}

// step is called for each phase by the mailbox servers' side.
func (p *phases) step(name string, d time.Duration) {
	if at, ok := phaseOfStep[name]; ok {
		p.observe(at, d)
	}
}

// results counts the outcomes of one listener's connections.
type results [numOutcomes]prometheus.Counter

func (r *results) count(o Outcome) { r[o].Inc() }

// metrics is what the set-up counts. Children are resolved once, so that counting is one atomic addition.
type metrics struct {
	byListener     *prometheus.CounterVec
	acceptErrors   *prometheus.CounterVec
	refusals       [numOutcomes]prometheus.Counter // nil for outcomes that end the connection
	waited         prometheus.Counter
	guessesDelayed prometheus.Counter
	panics         prometheus.Counter // on sign-in threads, not caught by a session
	phases         phases
}

// newMetrics registers the metrics, and those of the relay, with reg, or with nobody. counts gives the sessions before
// and after sign-in.
func newMetrics(reg prometheus.Registerer, counts func() (unsigned, signed int), shortages func() uint64,
	relayed prometheus.Collector) (*metrics, error) {
	m := &metrics{
		byListener: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "portico_connections_total",
			Help: "Client connections that have finished set-up, by result.",
		}, []string{"listener", "result"}),
		acceptErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "portico_accept_errors_total",
			Help: "Failed attempts to accept a client connection.",
		}, []string{"listener"}),
	}
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portico_signin_refusals_total",
		Help: "Commands before sign-in that were refused without closing the connection.",
	}, []string{"result"})
	m.waited = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "portico_signin_penalty_seconds_total",
		Help: "Total delay of answers to refused sign-ins.",
	})
	m.guessesDelayed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "portico_signin_guesses_delayed_total",
		Help: "Sign-ins held before verification, because their address had sent too many wrong credentials.",
	})
	m.panics = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "portico_setup_panics_total",
		Help: "Panics on sign-in threads outside a session. Each one closed a connection.",
	})
	for o := range outcomes {
		if !outcomes[o].ends {
			m.refusals[o] = refusals.WithLabelValues(outcomes[o].label)
		}
	}
	short := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "portico_shortages_total",
		Help: "Connections and sign-ins that failed because Portico had no descriptor, port or memory left.",
	}, func() float64 { return float64(shortages()) })
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.byListener), reg.Register(m.acceptErrors), reg.Register(refusals),
		reg.Register(m.waited), reg.Register(m.guessesDelayed),
		reg.Register(m.panics), reg.Register(&m.phases), reg.Register(sessionGauge{counts}), reg.Register(relayed),
		reg.Register(short))
}

// connections returns the counters of one listener. All its series begin here, at 0, so that Prometheus sees the first
// event as an increase.
func (m *metrics) connections(listener string) *results {
	m.acceptErrors.WithLabelValues(listener)
	var r results
	for o := range r {
		r[o] = m.byListener.WithLabelValues(listener, outcomes[o].label)
	}
	return &r
}

// sessionGauge collects portico_sessions from the counts that admission uses.
type sessionGauge struct {
	counts func() (unsigned, signed int)
}

var sessionsDesc = prometheus.NewDesc("portico_sessions", "Open client connections.", []string{"state"}, nil)

// Describe implements prometheus.Collector.
func (g sessionGauge) Describe(ch chan<- *prometheus.Desc) { ch <- sessionsDesc }

// Collect implements prometheus.Collector.
func (g sessionGauge) Collect(ch chan<- prometheus.Metric) {
	unsigned, signed := g.counts()
	ch <- prometheus.MustNewConstMetric(sessionsDesc, prometheus.GaugeValue, float64(unsigned), "signing_in")
	ch <- prometheus.MustNewConstMetric(sessionsDesc, prometheus.GaugeValue, float64(signed), "relayed")
}
