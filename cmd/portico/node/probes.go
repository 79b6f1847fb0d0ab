package node

import (
	"context"
	"slices"
	"time"

	"portico/health"
	"portico/health/admin"
)

// probesAPI implements admin.Probes.
type probesAPI struct{ s *service }

// Node implements admin.Probes.
func (c probesAPI) Node() string { return c.s.config.node() }

// Active implements admin.Probes.
func (c probesAPI) Active(database string) (server string) { return c.s.mailbox.activeOn(database) }

// Probes implements admin.Probes.
func (c probesAPI) Probes() []health.ProbeState { return c.s.monitoring.engine.Probes() }

// RunNow implements admin.Probes.
func (c probesAPI) RunNow(ctx context.Context, r admin.ProbeRun) ([]*health.Result, error) {
	by := health.ByHand{
		Timeout: time.Duration(r.Timeout * float64(time.Second)), Account: r.Account, Password: r.Password,
		Endpoint: r.Endpoint,
	}
	if err := by.Override(r.Properties); err != nil {
		return nil, err
	}
	results, err := c.s.monitoring.engine.RunNow(ctx, r.Set, r.Probe, r.Target, by)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(results, func(r *health.Result) bool { return r == nil }), nil
}
