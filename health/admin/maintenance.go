package admin

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"portico/health/maintenance"
)

// The paths of maintenance: of this node, and of a mailbox server.
const (
	PathMaintenance            = prefix + "maintenance"
	PathMaintenanceStart       = PathMaintenance + "/start"
	PathMaintenanceStop        = PathMaintenance + "/stop"
	PathServerMaintenanceStart = PathServers + "/{name}/maintenance/start"
	PathServerMaintenanceStop  = PathServers + "/{name}/maintenance/stop"
)

// Maintenance is what somebody works on: mailbox servers, or this node.
type Maintenance interface {
	Maintenance() []MaintenanceRow
	// StartMaintenance and StopMaintenance are for a mailbox server, or with "" for this node, whose sessions end
	// within drain.
	StartMaintenance(ctx context.Context, server string, drain time.Duration) ([]maintenance.Step, error)
	StopMaintenance(ctx context.Context, server string) ([]maintenance.Step, error)
}

// MaintenanceRow is a mailbox server or this node that somebody works on.
type MaintenanceRow struct {
	Server   string    `json:"server,omitempty"` // a mailbox server
	Node     string    `json:"node,omitempty"`   // or this node
	Since    time.Time `json:"since"`
	Policy   string    `json:"policy,omitempty"`   // that it had before, if that was changed by command
	Active   []string  `json:"active,omitempty"`   // databases that are still active there
	Sessions int       `json:"sessions,omitempty"` // that are still here
}

// MaintenanceStep is what became of a step on the way in or out.
type MaintenanceStep struct {
	What   string `json:"what"`
	Was    string `json:"was,omitempty"` // before the step
	Result string `json:"result"`
	Done   bool   `json:"done"`
}

// MaintenanceRequest begins maintenance.
type MaintenanceRequest struct {
	Seconds float64 `json:"seconds,omitempty"` // within which the sessions of a node end
}

// maintenanceRoutes adds maintenance to the API.
func maintenanceRoutes(api huma.API, m Maintenance) {
	get(api, "list-maintenance", PathMaintenance, "List what somebody works on",
		func(context.Context, *None) ([]MaintenanceRow, error) { return m.Maintenance(), nil })
	start := func(ctx context.Context, server string, r MaintenanceRequest) ([]MaintenanceStep, error) {
		steps, err := m.StartMaintenance(ctx, server, inSeconds(r.Seconds))
		return stepped(ctx, steps, err)
	}
	stop := func(ctx context.Context, server string, _ None) ([]MaintenanceStep, error) {
		steps, err := m.StopMaintenance(ctx, server)
		return stepped(ctx, steps, err)
	}
	change(api, "start-maintenance", PathMaintenanceStart, "Drain this node", start)
	change(api, "stop-maintenance", PathMaintenanceStop, "Take this node back into service", stop)
	change(api, "start-server-maintenance", PathServerMaintenanceStart, "Empty a mailbox server", start)
	change(api, "stop-server-maintenance", PathServerMaintenanceStop, "Take a mailbox server back into service", stop)
}

// stepped records the steps of a way in or out, and returns them in the API's words.
func stepped(ctx context.Context, steps []maintenance.Step, err error) ([]MaintenanceStep, error) {
	if err == nil {
		Changed(ctx)
	}
	rows := []MaintenanceStep{}
	for _, s := range steps {
		Changed(ctx, Difference{s.What, s.Was, s.Result})
		rows = append(rows, MaintenanceStep(s))
	}
	return rows, err
}
