package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"portico/cmd/portico/release"
	"portico/configs/store"
	"portico/health"
	"portico/health/admin"
	"portico/health/admin/table"
	"portico/health/overrides"
	"portico/health/repairing"
)

// openOverrides reads the overrides.
func (s *service) openOverrides() (err error) {
	s.overrides, err = overrides.Open(context.Background(), overrides.Options{
		Stored: s.stored.overrides, Version: release.Version(), Changed: s.useHealthPlan, Ended: s.overrideEnded,
		Failed: func(err error) { s.reported("stored override not usable", err) },
	})
	if err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	return nil
}

// overrideEnded logs that an override has expired.
func (s *service) overrideEnded(o health.Override) {
	s.log.Info().Str("identity", o.Identity).Str("property", o.Property).Msg("override expired")
}

// useHealthPlan puts what is looked after in force: by the configuration, without what is in maintenance, with the
// overrides. It may be called from anywhere.
func (s *service) useHealthPlan() {
	s.planning.Lock()
	defer s.planning.Unlock()
	plan := s.healthPlan(s.now().config).With(s.overrides.InForce(), time.Now(), release.Version())
	s.maintenance.SwitchOff(plan)
	s.health.Use(plan)
	s.repairing.Apply()
}

// Overrides implements admin.Health.
func (c healthControl) Overrides(context.Context) ([]health.Override, error) {
	return c.s.overrides.InForce(), nil
}

// AddOverride implements admin.Health.
func (c healthControl) AddOverride(ctx context.Context, o health.Override) (change admin.Change, err error) {
	done, err := c.s.change(ctx)
	if err != nil {
		return change, err
	}
	defer done()
	if err := c.s.healthPlan(c.s.now().config).Check(o); err != nil {
		return change, err
	}
	was, o, err := c.s.overrides.Add(ctx, o)
	if err != nil {
		return change, err
	}
	c.s.log.Warn().Interface("override", o).Msg("override added by an operator")
	return admin.Change{What: o.Identity + " " + o.Property, Was: overrideText(was), Now: textOf(o)}, nil
}

// noOverride stands for an override that is not there.
const noOverride = "(no override)"

// overrideText is what the store has of an override.
func overrideText(item store.Item[health.Override]) string {
	switch {
	case item.Revision == 0:
		return noOverride
	case item.Err != nil:
		return "(unreadable)"
	}
	return textOf(item.Value)
}

// textOf is an override's value, and its end.
func textOf(o health.Override) string {
	switch {
	case !o.Until.IsZero():
		return o.Value + " until " + table.Time(o.Until)
	case o.Version != "":
		return o.Value + " while version " + o.Version + " runs"
	}
	return o.Value
}

// RemoveOverride implements admin.Health.
func (c healthControl) RemoveOverride(ctx context.Context, o health.Override) (change admin.Change, err error) {
	done, err := c.s.change(ctx)
	if err != nil {
		return change, err
	}
	defer done()
	was, err := c.s.overrides.Remove(ctx, o)
	if err != nil {
		return change, err
	}
	c.s.log.Warn().Str("identity", o.Identity).Str("property", o.Property).Msg("override removed by an operator")
	return admin.Change{What: o.Identity + " " + o.Property, Was: overrideText(was), Now: noOverride}, nil
}

// openRepairing reads which monitors are Repairing.
func (s *service) openRepairing() (err error) {
	s.repairing, err = repairing.Open(context.Background(), s.stored.repairing, s.health,
		func(err error) { s.reported("stored mark Repairing not usable", err) })
	if err != nil {
		return fmt.Errorf("repairing: %w", err)
	}
	return nil
}

// SetRepairing implements admin.Health.
func (c healthControl) SetRepairing(ctx context.Context, id string, on bool) (change admin.Change, err error) {
	done, err := c.s.change(ctx)
	if err != nil {
		return change, err
	}
	defer done()
	value, ok := c.s.alertValue(id)
	if !ok {
		return change, c.s.noMonitor(id)
	}
	change = admin.Change{What: "monitor " + id}
	was, err := c.s.repairing.Set(ctx, id, on)
	if err != nil {
		return change, err
	}
	change.Was = withRepairing(value, was)
	c.s.log.Warn().Str("monitor", id).Bool("repairing", on).Msg("repairing set by an operator")
	value, _ = c.s.alertValue(id)
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
func (s *service) noMonitor(id string) error {
	all := s.monitorIDs()
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
func (s *service) monitorIDs() (all []string) {
	for _, m := range s.health.Monitors() {
		all = append(all, m.ID())
	}
	return all
}

// alertValue is that of a monitor.
func (s *service) alertValue(id string) (value string, ok bool) {
	for _, m := range s.health.Monitors() {
		if m.ID() == id {
			return m.Value.String(), true
		}
	}
	return "", false
}
