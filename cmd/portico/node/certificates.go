package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portico/configs"
	"portico/proxy/certs"
)

const (
	refreshEvery = 30 * time.Second // a look at whether certificates have changed
	rotateEvery  = 8 * time.Hour    // a new key for session tickets
)

// clientTLS returns the TLS configuration for clients, and its certificates. Both are nil if there is no certificate.
func clientTLS(config configs.TLS) (*tls.Config, *certs.Certificates, error) {
	if len(config.Certificates) == 0 {
		return nil, nil, nil
	}
	sources := make([]certs.Source, len(config.Certificates))
	for i, c := range config.Certificates {
		sources[i] = certs.Source(c)
	}
	shown, err := certs.Open(sources)
	if err != nil {
		return nil, nil, fmt.Errorf("tls.certificates: %w", err)
	}
	made := &tls.Config{MinVersion: tlsVersions[config.MinVersion], GetCertificate: shown.Choose}
	if config.ClientCA != "" {
		if made.ClientCAs, err = configs.ReadCA(config.ClientCA); err != nil {
			return nil, nil, fmt.Errorf("tls.client_ca: %w", err)
		}
		made.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return made, shown, nil
}

// certificateMetrics show when certificates have to be renewed or repaired.
type certificateMetrics struct{ expires, failing prometheus.Gauge }

func newCertificateMetrics(reg prometheus.Registerer) *certificateMetrics {
	m := &certificateMetrics{
		expires: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "portico_certificate_expiry_timestamp_seconds",
			Help: "When the first of the server certificates expires.",
		}),
		failing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "portico_certificates_failing",
			Help: "Certificate files that cannot be used; the previous certificates stay in use.",
		}),
	}
	reg.MustRegister(m.expires, m.failing)
	return m
}

func (m *certificateMetrics) set(c *certs.Certificates) {
	m.expires.Set(float64(c.Expires().Unix()))
	m.failing.Set(float64(c.Failing()))
}

// keepCertificates loads certificates that have changed, and rotates the keys of session tickets, until ctx ends.
func (c *clientSide) keepCertificates(ctx context.Context) {
	refresh, rotate := time.NewTicker(refreshEvery), time.NewTicker(rotateEvery)
	defer refresh.Stop()
	defer rotate.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-rotate.C:
			if err := c.tickets.Rotate(); err != nil {
				c.log.Error().Err(err).Msg("cannot create a new key for session tickets")
			}
		case <-refresh.C:
			c.refreshCertificates()
		}
	}
}

func (c *clientSide) refreshCertificates() {
	shown := c.config.current().front.certificates
	if shown == nil {
		return
	}
	if err := shown.Refresh(); err != nil {
		c.log.Error().Err(err).Msg("cannot load certificates: the previous ones stay in use")
	}
	c.certificates.set(shown)
}
