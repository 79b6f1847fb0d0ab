package node

import (
	"context"
	"errors"

	"portico/configs/store"
	"portico/health"
	"portico/health/admin"
	"portico/health/admin/table"
)

// overridesAPI implements admin.Overrides.
type overridesAPI struct{ s *service }

// Overrides implements admin.Overrides.
func (c overridesAPI) Overrides() []health.Override { return c.s.monitoring.overrides.InForce() }

// AddOverride implements admin.Overrides.
func (c overridesAPI) AddOverride(ctx context.Context, o health.Override) (change admin.Change, err error) {
	done, err := c.s.config.change(ctx)
	if err != nil {
		return change, err
	}
	defer done()
	if err := c.s.monitoring.configured(c.s.current()).Check(o); err != nil {
		return change, err
	}
	was, o, err := c.s.monitoring.overrides.Add(ctx, o)
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

// RemoveOverride implements admin.Overrides.
func (c overridesAPI) RemoveOverride(ctx context.Context, o health.Override) (change admin.Change, err error) {
	done, err := c.s.config.change(ctx)
	if err != nil {
		return change, err
	}
	defer done()
	change = admin.Change{What: o.Identity + " " + o.Property, Was: noOverride, Now: noOverride}
	was, err := c.s.monitoring.overrides.Remove(ctx, o)
	if errors.Is(err, health.ErrUnknown) {
		return change, c.s.monitoring.configured(c.s.current()).CheckProperty(o) // if there is one, it is as wanted
	}
	if err != nil {
		return admin.Change{}, err
	}
	change.Was = overrideText(was)
	c.s.log.Warn().Str("identity", o.Identity).Str("property", o.Property).Msg("override removed by an operator")
	return change, nil
}
