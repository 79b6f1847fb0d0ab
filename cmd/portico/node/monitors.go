package node

import (
	"context"
	"fmt"
	"strings"

	"portico/health"
	"portico/health/admin"
	"portico/health/components"
)

// monitorsAPI implements admin.Monitors.
type monitorsAPI struct{ s *service }

// Node implements admin.Monitors.
func (c monitorsAPI) Node() string { return c.s.config.node() }

// Active implements admin.Monitors.
func (c monitorsAPI) Active(database string) (server string) { return c.s.mailbox.activeOn(database) }

// Serves implements admin.Monitors.
func (c monitorsAPI) Serves(component string) bool {
	return c.s.components.set.State(component) == components.Active
}

// Monitors implements admin.Monitors.
func (c monitorsAPI) Monitors() []health.MonitorState { return c.s.monitoring.engine.Monitors() }

// Sets implements admin.Monitors.
func (c monitorsAPI) Sets() []health.SetState { return c.s.monitoring.engine.Sets() }

// Alerts implements admin.Monitors.
func (c monitorsAPI) Alerts() []health.Alert { return c.s.alerts.escalator.Open() }

// Items implements admin.Monitors.
func (c monitorsAPI) Items() admin.Items {
	return admin.Items{Probes: c.s.monitoring.engine.Probes(), Monitors: c.s.monitoring.engine.Monitors(),
		Steps: recoveryPlan(c.s.recovery.settings()).Ladders}
}

// SetRepairing implements admin.Monitors.
func (c monitorsAPI) SetRepairing(ctx context.Context, id string, on bool) (change admin.Change, err error) {
	done, err := c.s.config.change(ctx)
	if err != nil {
		return change, err
	}
	defer done()
	value, ok := c.alertValue(id)
	if !ok {
		return change, c.noMonitor(id)
	}
	change = admin.Change{What: "monitor " + id}
	was, err := c.s.monitoring.repairing.Set(ctx, id, on)
	if err != nil {
		return change, err
	}
	change.Was = withRepairing(value, was)
	c.s.log.Warn().Str("monitor", id).Bool("repairing", on).Msg("repairing set by an operator")
	value, _ = c.alertValue(id)
	change.Now = withRepairing(value, on)
	return change, nil
}

// withRepairing is a monitor's state with the operator's flag, which a Disabled monitor has without being Repairing.
func withRepairing(value string, repairing bool) string {
	if repairing == (value == health.Repairing.String()) {
		return value
	}
	if repairing {
		return value + ", repairing on"
	}
	return value + ", repairing off"
}

// noMonitor says that there is no monitor of an identity. If only its target is missing, it lists the targets.
func (c monitorsAPI) noMonitor(id string) error {
	all := c.monitorIDs()
	var targets []string
	for _, known := range all {
		if target, ok := strings.CutPrefix(known, id+"/"); ok {
			targets = append(targets, target)
		}
	}
	if len(targets) == 0 {
		return admin.NoSuch("monitor", id, all)
	}
	return admin.Unknown(fmt.Errorf("monitor %s has several targets: add one, as in %s/%s; the targets are %s", id, id,
		targets[0], strings.Join(targets, ", ")))
}

// monitorIDs lists the identities of all monitors.
func (c monitorsAPI) monitorIDs() (all []string) {
	for _, m := range c.Monitors() {
		all = append(all, m.ID())
	}
	return all
}

// alertValue is that of a monitor.
func (c monitorsAPI) alertValue(id string) (value string, ok bool) {
	for _, m := range c.Monitors() {
		if m.ID() == id {
			return m.Value.String(), true
		}
	}
	return "", false
}
