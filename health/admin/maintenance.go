package admin

import (
	"context"
	"net/http"
	"time"

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

// maintenanceRoutes adds maintenance to the pages.
func maintenanceRoutes(mux *http.ServeMux, m Maintenance) {
	get(mux, PathMaintenance, func(*http.Request) (any, error) { return m.Maintenance(), nil })
	start := func(ctx context.Context, server string, body struct{ Seconds float64 }) (any, error) {
		steps, err := m.StartMaintenance(ctx, server, inSeconds(body.Seconds))
		return stepped(ctx, steps, err)
	}
	stop := func(ctx context.Context, server string, _ struct{}) (any, error) {
		steps, err := m.StopMaintenance(ctx, server)
		return stepped(ctx, steps, err)
	}
	change(mux, PathMaintenanceStart, start)
	change(mux, PathMaintenanceStop, stop)
	change(mux, PathServerMaintenanceStart, start)
	change(mux, PathServerMaintenanceStop, stop)
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
