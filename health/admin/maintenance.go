package admin

import (
	"context"
	"net/http"
	"time"
)

// Maintenance is a mailbox server or this node that somebody works on.
type Maintenance struct {
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

// maintenanceAPI adds maintenance to the pages.
func maintenanceAPI(mux *http.ServeMux, h Health) {
	mux.HandleFunc("GET /api/v1/maintenance", func(w http.ResponseWriter, r *http.Request) {
		all, err := h.Maintenance(r.Context())
		answer(w, all, err)
	})
	start := func(ctx context.Context, server string, body struct{ Seconds float64 }) (any, error) {
		steps, err := h.StartMaintenance(ctx, server, time.Duration(body.Seconds*float64(time.Second)))
		return stepped(ctx, steps, err)
	}
	stop := func(ctx context.Context, server string, _ struct{}) (any, error) {
		steps, err := h.StopMaintenance(ctx, server)
		return stepped(ctx, steps, err)
	}
	change(mux, "maintenance/start", start)
	change(mux, "maintenance/stop", stop)
	change(mux, "servers/{name}/maintenance/start", start)
	change(mux, "servers/{name}/maintenance/stop", stop)
	change(mux, "bundle", func(ctx context.Context, _ string, _ struct{}) (any, error) {
		where, err := h.Bundle(ctx)
		if err == nil {
			Changed(ctx, Difference{"bundle", nil, where})
		}
		return map[string]string{"bundle": where}, err
	})
}

// stepped records the steps of a way in or out.
func stepped(ctx context.Context, steps []MaintenanceStep, err error) ([]MaintenanceStep, error) {
	if err == nil {
		Changed(ctx)
	}
	for _, s := range steps {
		Changed(ctx, Difference{s.What, s.Was, s.Result})
	}
	return steps, err
}
