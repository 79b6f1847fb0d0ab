package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"portico/health"
	"portico/health/admin"
	"portico/health/components"
	"portico/health/maintenance"
)

// requesterMaintenance is who takes components out of service for it.
const requesterMaintenance = "Maintenance"

// longestDrain is how long the sessions of a node may take to end.
const longestDrain = 4 * time.Minute

// maintenanceAPI implements admin.Maintenance.
type maintenanceAPI struct{ s *service }

// Maintenance implements admin.Maintenance.
func (c maintenanceAPI) Maintenance() []admin.MaintenanceRow {
	servers := c.s.monitoring.maintenance.Servers()
	all := []admin.MaintenanceRow{}
	for _, name := range c.s.current().tier().Servers() {
		if m, ok := servers[name]; ok {
			all = append(all, admin.MaintenanceRow{Server: name, Since: m.Since, Policy: string(m.Policy),
				Active: c.s.mailbox.activeDatabases(name)})
		}
	}
	for _, r := range c.s.components.set.Requests() {
		if r.Component == components.ServerWideOffline && r.Requester == requesterMaintenance &&
			r.State == components.Inactive {
			all = append(all, admin.MaintenanceRow{Node: c.s.config.node(), Since: r.At,
				Sessions: len(c.s.sessions.list(context.Background()))})
		}
	}
	return all
}

// StartMaintenance implements admin.Maintenance.
func (c maintenanceAPI) StartMaintenance(ctx context.Context, server string,
	drain time.Duration) ([]maintenance.Step, error) {
	if server == "" {
		return c.nodeIn(ctx, drain)
	}
	if err := c.s.current().known(server); err != nil {
		return nil, err
	}
	if err := c.s.config.untilStarted(ctx); err != nil {
		return nil, err
	}
	return c.s.monitoring.maintenance.Start(ctx, server, admin.Who(ctx))
}

// nodeIn is StartMaintenance of this node.
func (c maintenanceAPI) nodeIn(ctx context.Context, drain time.Duration) ([]maintenance.Step, error) {
	if drain < 0 || drain > longestDrain {
		return nil, fmt.Errorf("drain %v is out of range: give 0 to %v", drain, longestDrain)
	}
	steps := []maintenance.Step{}
	proxy, wide := c.s.components.set.State(components.ImapProxy),
		c.s.components.set.State(components.ServerWideOffline)
	err := c.s.components.ask(ctx, components.Request{Component: components.ImapProxy, Requester: requesterMaintenance,
		State: components.Inactive, Source: components.SourceMaintenance})
	if err != nil {
		return steps, err
	}
	steps = append(steps, maintenance.Step{What: "component " + components.ImapProxy, Was: proxy,
		Result: components.Inactive, Done: true})
	n := len(c.s.sessions.list(ctx))
	c.s.sessions.endAll(drain)
	steps = append(steps, maintenance.Step{What: "sessions", Was: fmt.Sprint(n),
		Result: fmt.Sprintf("%d ended", n), Done: true})
	err = c.s.components.ask(ctx, components.Request{Component: components.ServerWideOffline,
		Requester: requesterMaintenance, State: components.Inactive, Source: components.SourceMaintenance})
	if err != nil {
		return steps, err
	}
	return append(steps, maintenance.Step{What: "component " + components.ServerWideOffline, Was: wide,
		Result: components.Inactive, Done: true}), nil
}

// nodeMaintained says whether maintenance has taken this node out of service.
func (c maintenanceAPI) nodeMaintained() bool {
	return slices.ContainsFunc(c.s.components.set.Requests(), func(r components.Request) bool {
		return r.Requester == requesterMaintenance && r.State == components.Inactive && r.Server == "" &&
			(r.Component == components.ServerWideOffline || r.Component == components.ImapProxy)
	})
}

// StopMaintenance implements admin.Maintenance.
func (c maintenanceAPI) StopMaintenance(ctx context.Context, server string) ([]maintenance.Step, error) {
	if server == "" {
		return c.nodeOut(ctx)
	}
	if err := c.s.config.untilStarted(ctx); err != nil {
		return nil, err
	}
	steps, err := c.s.monitoring.maintenance.Stop(ctx, server)
	if errors.Is(err, health.ErrUnknown) { // if there is such a server, it is as wanted
		return nil, c.s.current().known(server)
	}
	if err == nil {
		c.s.log.Warn().Str("server", server).Msg("maintenance of a mailbox server ended")
	}
	return steps, err
}

// nodeOut is StopMaintenance of this node.
func (c maintenanceAPI) nodeOut(ctx context.Context) ([]maintenance.Step, error) {
	if !c.nodeMaintained() { // it is as wanted
		return nil, nil
	}
	steps := []maintenance.Step{}
	for _, component := range []string{components.ServerWideOffline, components.ImapProxy} {
		was := c.s.components.set.State(component)
		if err := c.s.components.ask(ctx, components.Request{Component: component, Requester: requesterMaintenance,
			State: components.Active, Source: components.SourceMaintenance}); err != nil {
			return steps, err
		}
		result, done := c.s.components.reached(component, "", components.Active)
		steps = append(steps, maintenance.Step{What: "component " + component, Was: was, Result: result,
			Done: done})
	}
	return steps, nil
}
