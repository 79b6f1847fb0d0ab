package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"portico/backend"
	"portico/health"
	"portico/health/admin"
	"portico/health/catalogue"
)

// byMaintenance is who blocks a mailbox server for maintenance.
const byMaintenance = "maintenance"

// requesterMaintenance is who takes components out of service for it.
const requesterMaintenance = "Maintenance"

// longestDrain is how long the sessions of a node may take to end.
const longestDrain = 4 * time.Minute

// maintained are the mailbox servers that somebody works on.
func (s *service) maintained(ctx context.Context) (map[string]admin.Maintenance, error) {
	items, err := s.stored.maintenance.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("maintenance: %w", err)
	}
	all := make(map[string]admin.Maintenance)
	for _, item := range items {
		if item.Err != nil {
			s.reported("a stored maintenance cannot be used", item.Err)
			continue
		}
		all[item.Name] = item.Value
	}
	return all, nil
}

// Maintenance implements admin.Health.
func (c healthControl) Maintenance(ctx context.Context) ([]admin.Maintenance, error) {
	servers, err := c.s.maintained(ctx)
	all := []admin.Maintenance{}
	for _, name := range c.s.now().tier().Servers() {
		if m, ok := servers[name]; ok {
			m.Active = c.s.activeDatabases(name)
			all = append(all, m)
		}
	}
	for _, r := range c.s.components.Requests() {
		if r.Component == health.ComponentServerWideOffline && r.Requester == requesterMaintenance &&
			r.State == health.Inactive {
			all = append(all, admin.Maintenance{Node: c.Node(), Since: r.At, Sessions: len(c.s.server.Sessions())})
		}
	}
	return all, err
}

// StartMaintenance implements admin.Health: in Exchange's order, drain, move the active databases, block activation,
// all offline.
func (c healthControl) StartMaintenance(ctx context.Context, server string,
	drain time.Duration) ([]admin.MaintenanceStep, error) {
	if server == "" {
		return c.nodeIn(ctx, drain)
	}
	if err := (control(c)).known(server); err != nil {
		return nil, err
	}
	item, err := c.s.stored.maintenance.Get(ctx, server)
	if err != nil {
		return nil, err
	}
	activation := control(c).activation(server)
	if err := c.s.active.BlockAs(ctx, server, backend.Blocker{By: byMaintenance, Who: admin.Who(ctx)}); err != nil {
		return nil, err
	}
	monitors := health.Disabled.String()
	if item.Revision == 0 || item.Err != nil { // else the policy that it had is known already
		monitors = "enabled"
		item.Value = admin.Maintenance{Server: server, Since: time.Now().UTC().Truncate(time.Millisecond),
			Policy: string(c.s.active.Policy(server))}
		if _, err := c.s.stored.maintenance.Put(ctx, item); err != nil {
			return nil, errors.Join(err, c.s.active.Unblock(ctx, server, byMaintenance))
		}
	}
	c.s.log.Warn().Str("server", server).Msg("maintenance of a mailbox server started")
	steps := []admin.MaintenanceStep{{What: "activation on " + server, Was: activation,
		Result: control(c).activation(server), Done: true}}
	moves, err := c.s.evacuate(ctx, server)
	if err != nil {
		return steps, err
	}
	for _, moved := range moves {
		if moved.Err == nil {
			steps = append(steps, admin.MaintenanceStep{What: "database " + moved.Database, Was: moved.From,
				Result: "moved to " + moved.To, Done: true})
		} else {
			steps = append(steps, admin.MaintenanceStep{What: "database " + moved.Database, Was: moved.From,
				Result: "kept: " + moved.Err.Error()})
		}
	}
	policy := string(c.s.now().tier().Policy(server))
	if err := c.s.active.SetPolicy(ctx, server, backend.BlockedByPolicy); err != nil {
		return steps, err
	}
	steps = append(steps, admin.MaintenanceStep{What: "AutoActivationPolicy of " + server, Was: policy,
		Result: string(backend.BlockedByPolicy), Done: true})
	c.s.replan()
	return append(steps, admin.MaintenanceStep{What: "monitors of " + server, Was: monitors,
		Result: health.Disabled.String(), Done: true}), nil
}

// nodeIn is StartMaintenance of this node.
func (c healthControl) nodeIn(ctx context.Context, drain time.Duration) ([]admin.MaintenanceStep, error) {
	if drain < 0 || drain > longestDrain {
		return nil, fmt.Errorf("drain %v is out of range: give 0 to %v", drain, longestDrain)
	}
	steps := []admin.MaintenanceStep{}
	proxy, wide := c.s.components.State(health.ComponentImapProxy),
		c.s.components.State(health.ComponentServerWideOffline)
	err := c.s.setComponent(ctx, health.Request{Component: health.ComponentImapProxy, Requester: requesterMaintenance,
		State: health.Inactive, Source: health.SourceMaintenance})
	if err != nil {
		return steps, err
	}
	steps = append(steps, admin.MaintenanceStep{What: "component " + health.ComponentImapProxy, Was: proxy,
		Result: health.Inactive, Done: true})
	n := len(c.s.server.Sessions())
	c.s.server.EndAll(drain)
	steps = append(steps, admin.MaintenanceStep{What: "sessions", Was: fmt.Sprint(n),
		Result: fmt.Sprintf("%d ended", n), Done: true})
	err = c.s.setComponent(ctx, health.Request{Component: health.ComponentServerWideOffline,
		Requester: requesterMaintenance, State: health.Inactive, Source: health.SourceMaintenance})
	if err != nil {
		return steps, err
	}
	return append(steps, admin.MaintenanceStep{What: "component " + health.ComponentServerWideOffline, Was: wide,
		Result: health.Inactive, Done: true}), nil
}

// nodeMaintained says whether maintenance has taken this node out of service.
func (c healthControl) nodeMaintained() bool {
	return slices.ContainsFunc(c.s.components.Requests(), func(r health.Request) bool {
		return r.Requester == requesterMaintenance && r.State == health.Inactive && r.Server == "" &&
			(r.Component == health.ComponentServerWideOffline || r.Component == health.ComponentImapProxy)
	})
}

// StopMaintenance implements admin.Health: the same in reverse. No database moves back.
func (c healthControl) StopMaintenance(ctx context.Context, server string) ([]admin.MaintenanceStep, error) {
	steps := []admin.MaintenanceStep{}
	if server == "" {
		if !c.nodeMaintained() {
			return nil, admin.Unknown(fmt.Errorf("this node, %s, is not in maintenance", c.Node()))
		}
		for _, component := range []string{health.ComponentServerWideOffline, health.ComponentImapProxy} {
			was := c.s.components.State(component)
			if err := c.s.setComponent(ctx, health.Request{Component: component, Requester: requesterMaintenance,
				State: health.Active, Source: health.SourceMaintenance}); err != nil {
				return steps, err
			}
			result, done := c.reached(component, "", health.Active)
			steps = append(steps, admin.MaintenanceStep{What: "component " + component, Was: was, Result: result,
				Done: done})
		}
		return steps, nil
	}
	item, err := c.s.stored.maintenance.Get(ctx, server)
	if err != nil {
		return nil, err
	}
	if item.Revision == 0 || item.Err != nil {
		return nil, admin.Unknown(fmt.Errorf("mailbox server %q is not in maintenance", server))
	}
	policy, activation := string(c.s.now().tier().Policy(server)), control(c).activation(server)
	if err := c.s.active.SetPolicy(ctx, server, backend.Policy(item.Value.Policy)); err != nil {
		return nil, err
	}
	steps = append(steps, admin.MaintenanceStep{What: "AutoActivationPolicy of " + server, Was: policy,
		Result: string(c.s.now().tier().Policy(server)), Done: true})
	if err := c.s.active.Unblock(ctx, server, byMaintenance); err != nil {
		return steps, err
	}
	step := admin.MaintenanceStep{What: "activation on " + server, Was: activation, Result: "allowed", Done: true}
	if by := c.s.active.BlockedBy(server); len(by) > 0 {
		step.Result, step.Done = "still blocked, by "+strings.Join(by, " and "), false
	}
	steps = append(steps, step)
	if err := c.s.stored.maintenance.Remove(ctx, item); err != nil {
		return steps, err
	}
	c.s.log.Warn().Str("server", server).Msg("maintenance of a mailbox server ended")
	c.s.replan()
	return append(steps, admin.MaintenanceStep{What: "monitors of " + server, Was: health.Disabled.String(),
		Result: "enabled", Done: true}), nil
}

// replan puts what is looked after in force again.
func (s *service) replan() {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.useHealthPlan()
}

// withoutMaintained switches the monitors of mailbox servers off that somebody works on.
func (s *service) withoutMaintained(plan health.Plan) health.Plan {
	servers, err := s.maintained(context.Background())
	if err != nil {
		s.reported("maintenance entry skipped", err)
	}
	for i := range plan.Monitors {
		m := &plan.Monitors[i]
		if _, ok := servers[m.Target]; ok && catalogue.Of(m.Name).OffInMaintenance() {
			m.Off = true
		}
	}
	return plan
}
