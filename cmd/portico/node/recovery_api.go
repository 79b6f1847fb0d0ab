package node

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"portico/health/admin"
	"portico/health/components"
	"portico/health/recovery"
)

// recoveryAPI implements admin.Recovery.
type recoveryAPI struct{ s *service }

// Recovery implements admin.Recovery.
func (c recoveryAPI) Recovery() admin.RecoveryState {
	records := c.s.recovery.responders.Records()
	slices.Reverse(records)
	tells := c.s.current().config.Health.Escalate
	var off []string
	for _, state := range c.s.components.set.States() {
		if state.Server != "" && state.State != components.Active {
			off = append(off, state.Server)
		}
	}
	return admin.RecoveryState{
		OffFor:  off,
		Mode:    recoveryModes[c.s.recovery.settings().Mode],
		Active:  c.s.components.set.State(components.RecoveryActions) == components.Active,
		Tells:   tells.Alertmanager.URL != "" || tells.Mail.To != "",
		Ladders: c.s.recovery.responders.Ladders(), Records: records,
		Steps: recoveryPlan(c.s.recovery.settings()).Ladders,
	}
}

// Recover implements admin.Recovery.
func (c recoveryAPI) Recover(ctx context.Context, r admin.RecoveryRequest) (recovery.Record, error) {
	if r.Server != "" {
		if err := c.s.current().known(r.Server); err != nil {
			return recovery.Record{}, err
		}
		was := c.s.mailbox.activation(r.Server)
		defer func() {
			admin.Changed(ctx, admin.Difference{What: "activation on " + r.Server, Old: was,
				New: c.s.mailbox.activation(r.Server)})
		}()
	}
	if r.Database != "" && c.s.mailbox.activeOn(r.Database) == "" {
		return recovery.Record{}, admin.NoSuch("database", r.Database, c.s.names().Databases)
	}
	fault := recovery.Case{Server: r.Server, Database: r.Database}
	by := cmp.Or(r.By, "operator")
	if r.Database != "" {
		was := c.s.mailbox.activeOn(r.Database)
		defer func() {
			admin.Changed(ctx, admin.Difference{What: "active copy of " + r.Database, Old: was,
				New: c.s.mailbox.activeOn(r.Database)})
		}()
	}
	if r.Lift {
		return c.s.recovery.responders.Lift(ctx, r.Action, fault, by)
	}
	record, err := c.s.recovery.responders.ByHand(ctx, r.Action, fault, by, r.Machine)
	var skipped recovery.Skipped
	if errors.As(err, &skipped) || errors.Is(err, recovery.ErrThrottled) { // the record says so
		return record, nil
	}
	return record, err
}
