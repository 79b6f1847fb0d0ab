package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"portico/backend"
	"portico/health/admin"
	"portico/health/components"
	"portico/health/maintenance"
)

// requesterMaintenance is who takes components out of service for it.
const requesterMaintenance = "Maintenance"

// longestDrain is how long the sessions of a node may take to end.
const longestDrain = 4 * time.Minute

// openMaintenance reads which mailbox servers are in maintenance.
func (s *service) openMaintenance() (err error) {
	s.maintenance, err = maintenance.Open(context.Background(), maintenance.Options{
		Stored: s.stored.maintenance, Active: s.active, Changed: s.useHealthPlan,
		Policy:   func(server string) backend.Policy { return s.now().tier().Policy(server) },
		Evacuate: s.evacuate,
		Began: func(server string) {
			s.log.Warn().Str("server", server).Msg("maintenance of a mailbox server started")
		},
		Failed: func(err error) { s.reported("stored maintenance of a server not usable", err) },
	})
	if err != nil {
		return fmt.Errorf("maintenance: %w", err)
	}
	return nil
}

// Maintenance implements admin.Health.
func (c healthControl) Maintenance(context.Context) ([]admin.Maintenance, error) {
	servers := c.s.maintenance.Servers()
	all := []admin.Maintenance{}
	for _, name := range c.s.now().tier().Servers() {
		if m, ok := servers[name]; ok {
			all = append(all, admin.Maintenance{Server: name, Since: m.Since, Policy: string(m.Policy),
				Active: c.s.activeDatabases(name)})
		}
	}
	for _, r := range c.s.components.Requests() {
		if r.Component == components.ServerWideOffline && r.Requester == requesterMaintenance &&
			r.State == components.Inactive {
			all = append(all, admin.Maintenance{Node: c.Node(), Since: r.At, Sessions: len(c.s.server.Sessions())})
		}
	}
	return all, nil
}

// StartMaintenance implements admin.Health.
func (c healthControl) StartMaintenance(ctx context.Context, server string,
	drain time.Duration) ([]admin.MaintenanceStep, error) {
	if server == "" {
		return c.nodeIn(ctx, drain)
	}
	if err := (control(c)).known(server); err != nil {
		return nil, err
	}
	steps, err := c.s.maintenance.Start(ctx, server, admin.Who(ctx))
	return stepRows(steps), err
}

// stepRows are steps in the API's words.
func stepRows(steps []maintenance.Step) (rows []admin.MaintenanceStep) {
	for _, step := range steps {
		rows = append(rows, admin.MaintenanceStep(step))
	}
	return rows
}

// nodeIn is StartMaintenance of this node.
func (c healthControl) nodeIn(ctx context.Context, drain time.Duration) ([]admin.MaintenanceStep, error) {
	if drain < 0 || drain > longestDrain {
		return nil, fmt.Errorf("drain %v is out of range: give 0 to %v", drain, longestDrain)
	}
	steps := []admin.MaintenanceStep{}
	proxy, wide := c.s.components.State(components.ImapProxy),
		c.s.components.State(components.ServerWideOffline)
	err := c.s.setComponent(ctx, components.Request{Component: components.ImapProxy, Requester: requesterMaintenance,
		State: components.Inactive, Source: components.SourceMaintenance})
	if err != nil {
		return steps, err
	}
	steps = append(steps, admin.MaintenanceStep{What: "component " + components.ImapProxy, Was: proxy,
		Result: components.Inactive, Done: true})
	n := len(c.s.server.Sessions())
	c.s.server.EndAll(drain)
	steps = append(steps, admin.MaintenanceStep{What: "sessions", Was: fmt.Sprint(n),
		Result: fmt.Sprintf("%d ended", n), Done: true})
	err = c.s.setComponent(ctx, components.Request{Component: components.ServerWideOffline,
		Requester: requesterMaintenance, State: components.Inactive, Source: components.SourceMaintenance})
	if err != nil {
		return steps, err
	}
	return append(steps, admin.MaintenanceStep{What: "component " + components.ServerWideOffline, Was: wide,
		Result: components.Inactive, Done: true}), nil
}

// nodeMaintained says whether maintenance has taken this node out of service.
func (c healthControl) nodeMaintained() bool {
	return slices.ContainsFunc(c.s.components.Requests(), func(r components.Request) bool {
		return r.Requester == requesterMaintenance && r.State == components.Inactive && r.Server == "" &&
			(r.Component == components.ServerWideOffline || r.Component == components.ImapProxy)
	})
}

// StopMaintenance implements admin.Health.
func (c healthControl) StopMaintenance(ctx context.Context, server string) ([]admin.MaintenanceStep, error) {
	if server == "" {
		return c.nodeOut(ctx)
	}
	steps, err := c.s.maintenance.Stop(ctx, server)
	if err != nil {
		return stepRows(steps), err
	}
	c.s.log.Warn().Str("server", server).Msg("maintenance of a mailbox server ended")
	return stepRows(steps), nil
}

// nodeOut is StopMaintenance of this node.
func (c healthControl) nodeOut(ctx context.Context) ([]admin.MaintenanceStep, error) {
	if !c.nodeMaintained() {
		return nil, admin.Unknown(fmt.Errorf("this node, %s, is not in maintenance", c.Node()))
	}
	steps := []admin.MaintenanceStep{}
	for _, component := range []string{components.ServerWideOffline, components.ImapProxy} {
		was := c.s.components.State(component)
		if err := c.s.setComponent(ctx, components.Request{Component: component, Requester: requesterMaintenance,
			State: components.Active, Source: components.SourceMaintenance}); err != nil {
			return steps, err
		}
		result, done := c.reached(component, "", components.Active)
		steps = append(steps, admin.MaintenanceStep{What: "component " + component, Was: was, Result: result,
			Done: done})
	}
	return steps, nil
}
