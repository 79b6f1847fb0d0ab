package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"portico/cmd/portico/release"
	"portico/configs/store"
	"portico/health"
	"portico/health/admin"
	"portico/health/admin/table"
)

// overrides reads those that are in force, and deletes those that have ended by themselves.
func (s *service) overrides(ctx context.Context) ([]health.Override, error) {
	items, err := s.stored.overrides.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("overrides: %w", err)
	}
	all := []health.Override{}
	for _, item := range items {
		o := item.Value
		if item.Err != nil {
			s.reported("stored override not usable", item.Err)
			continue
		}
		if o.Over(time.Now(), release.Version()) {
			if s.stored.overrides.Remove(ctx, item) == nil {
				s.log.Info().Str("identity", o.Identity).Str("property", o.Property).
					Msg("override expired")
			}
			continue
		}
		all = append(all, o)
	}
	return all, nil
}

// useHealthPlan puts what is looked after in force, with the overrides there are. The caller holds changing, or nobody
// else knows the service yet.
func (s *service) useHealthPlan() {
	all, err := s.overrides(context.Background())
	if err != nil {
		s.reported("overrides skipped", err)
	}
	s.health.Use(s.withoutMaintained(s.healthPlan(s.now().config).With(all, time.Now(), release.Version())))
	s.overridden = len(all)
}

// overridesEach is how often it is looked for overrides that have ended by themselves.
const overridesEach = 10 * time.Second

// keepOverrides ends overrides and requests of component states whose time has come.
func (s *service) keepOverrides(ctx context.Context) {
	ticker := time.NewTicker(overridesEach)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.changing.Lock()
		if all, err := s.overrides(ctx); err == nil && len(all) != s.overridden {
			s.useHealthPlan()
		}
		if err := s.endRequests(ctx, time.Now()); err != nil {
			s.reported("cannot delete a component state request", err)
		}
		s.changing.Unlock()
	}
}

// Overrides implements admin.Health.
func (c healthControl) Overrides(ctx context.Context) ([]health.Override, error) {
	return c.s.overrides(ctx)
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
	o.Created = time.Now().UTC().Truncate(time.Millisecond)
	item, err := c.s.stored.overrides.Get(ctx, o.Key()) // there is one for each property
	if err != nil {
		return change, err
	}
	change = admin.Change{What: o.Identity + " " + o.Property, Was: overrideText(item), Now: textOf(o)}
	item.Value = o
	if _, err := c.s.stored.overrides.Put(ctx, item); err != nil {
		return change, err
	}
	c.s.log.Warn().Interface("override", o).Msg("override added by an operator")
	c.s.useHealthPlan()
	return change, nil
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
	item, err := c.s.stored.overrides.Get(ctx, o.Key())
	if err != nil {
		return change, err
	}
	if item.Revision == 0 {
		return change, admin.Unknown(fmt.Errorf("there is no override of %s's %s", o.Identity, o.Property))
	}
	if err := c.s.stored.overrides.Remove(ctx, item); err != nil {
		return change, err
	}
	c.s.log.Warn().Str("identity", o.Identity).Str("property", o.Property).Msg("override removed by an operator")
	c.s.useHealthPlan()
	return admin.Change{What: o.Identity + " " + o.Property, Was: overrideText(item), Now: noOverride}, nil
}

// loadRepairing sets monitors to Repairing that were before a restart. Those that are not watched now may be again.
func (s *service) loadRepairing() error {
	items, err := s.stored.repairing.List(context.Background())
	if err != nil {
		return fmt.Errorf("repairing: %w", err)
	}
	for _, item := range items {
		if err := s.health.SetRepairing(item.Name, true); err != nil &&
			!errors.Is(err, health.ErrUnknown) {
			return err
		}
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
	item, err := c.s.stored.repairing.Get(ctx, id)
	if err != nil {
		return change, err
	}
	change.Was = withRepairing(value, item.Revision != 0)
	switch {
	case on && item.Revision == 0:
		item.Value = true
		_, err = c.s.stored.repairing.Put(ctx, item)
	case !on:
		err = c.s.stored.repairing.Remove(ctx, item)
	}
	if err != nil {
		return change, err
	}
	c.s.log.Warn().Str("monitor", id).Bool("repairing", on).Msg("repairing set by an operator")
	err = c.s.health.SetRepairing(id, on)
	value, _ = c.s.alertValue(id)
	change.Now = withRepairing(value, on)
	return change, err
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
