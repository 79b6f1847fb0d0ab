package admin

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"portico/health"
	"portico/health/catalogue"
	"portico/health/recovery"
)

// The paths of monitors.
const (
	PathMonitors  = prefix + "health"
	PathReport    = PathMonitors + "/report"
	PathRepairing = PathMonitors + "/repairing"
	PathAlerts    = prefix + "alerts"
	PathItems     = prefix + "items"
)

// Monitors are the monitors of managed availability, and what follows from their states.
type Monitors interface {
	Node() string // this machine's name
	// Active says on which mailbox server a database is active, "" if on none.
	Active(database string) (server string)
	// Serves says whether a component of this node is Active.
	Serves(component string) bool
	Monitors() []health.MonitorState
	Sets() []health.SetState
	Alerts() []health.Alert // that last
	Items() Items
	SetRepairing(ctx context.Context, monitor string, on bool) (Change, error)
}

// Items is all of managed availability that has an identity.
type Items struct {
	Probes   []health.ProbeState
	Monitors []health.MonitorState
	Steps    map[string][]recovery.Action // of each monitor's ladder, in order
}

// ofServer is a list of what concerns a mailbox server.
type ofServer struct {
	Server string `query:"server"` // "" for all
}

// RepairingRequest says of a monitor that somebody repairs what it sees, or no longer.
type RepairingRequest struct {
	Monitor string `json:"monitor"`
	On      bool   `json:"on,omitempty"`
}

// monitorRoutes adds monitors to the API.
func monitorRoutes(api huma.API, m Monitors) {
	get(api, "list-monitors", PathMonitors, "List the monitors",
		func(_ context.Context, of *ofServer) ([]MonitorRow, error) { return MonitorRows(m, of.Server), nil })
	get(api, "list-health-sets", PathReport, "List the health sets with their monitors",
		func(context.Context, *None) ([]SetRow, error) { return setRows(m), nil })
	get(api, "list-alerts", PathAlerts, "List the alerts that last",
		func(context.Context, *None) ([]health.Alert, error) { return m.Alerts(), nil })
	get(api, "list-items", PathItems, "List all probes, monitors and responders with their definitions",
		func(context.Context, *None) ([]ItemRow, error) { return itemRows(m.Items()), nil })
	change(api, "set-repairing", PathRepairing, "Say that somebody repairs what a monitor sees, or no longer",
		func(ctx context.Context, _ string, r RepairingRequest) (Change, error) {
			return m.SetRepairing(ctx, catalogue.Canonical(r.Monitor), r.On)
		})
}

// MonitorRow is a monitor: a row of Get-ServerHealth.
type MonitorRow struct {
	Server          string     `json:"server"`
	State           string     `json:"state"` // of its component; NotApplicable where it has none
	Name            string     `json:"name"`
	TargetResource  string     `json:"target_resource"`
	HealthSetName   string     `json:"health_set_name"`
	AlertValue      string     `json:"alert_value"`
	ServerComponent string     `json:"server_component"`
	LastTransition  time.Time  `json:"last_transition_time"`
	FirstAlert      *time.Time `json:"first_alert_observed_time,omitempty"`
	LastExecution   *time.Time `json:"last_execution_time,omitempty"`
	LastResult      string     `json:"last_execution_result,omitempty"`
	IsStale         bool       `json:"is_stale,omitempty"`
	Flapping        bool       `json:"flapping,omitempty"`
	FlapsSince      *time.Time `json:"flaps_since,omitempty"`
	// FlapsUntil is when it flaps no longer, if it does not change before.
	FlapsUntil    *time.Time `json:"flaps_until,omitempty"`
	Error         string     `json:"error,omitempty"` // of the latest failure, while there is one
	Dependency    string     `json:"dependency,omitempty"`
	Mailbox       string     `json:"_mbx,omitempty"`
	MailboxServer string     `json:"mailbox_server,omitempty"` // that it looks at, or where its database is active
	Description   string     `json:"description,omitempty"`
	SeenBy        []string   `json:"seen_by,omitempty"` // the nodes that run its probe, if this node does not
}

// SetRow is a health set: a row of Get-HealthReport.
type SetRow struct {
	Node           string    `json:"node,omitempty"` // by its name in the configuration, where several nodes are asked
	Server         string    `json:"server"`
	State          string    `json:"state"`
	HealthSet      string    `json:"health_set"`
	AlertValue     string    `json:"alert_value"`
	LastTransition time.Time `json:"last_transition_time"`
	MonitorCount   int       `json:"monitor_count"`

	HealthGroup string       `json:"health_group"`
	Monitors    []MonitorRow `json:"monitors"`
}

// States of a component that takes clients, of one node or several, and of what has no such component.
const (
	online          = "Online"
	partiallyOnline = "Partially Online"
	offline         = "Offline"
	notApplicable   = "NotApplicable"
)

// onlineOffline is a component's state as monitors and health sets show it.
func onlineOffline(serves bool) string {
	if serves {
		return online
	}
	return offline
}

func monitorRow(of Monitors, m health.MonitorState) MonitorRow {
	row := MonitorRow{
		Server: of.Node(), State: notApplicable, Name: m.Name, TargetResource: m.Target, HealthSetName: m.HealthSet,
		AlertValue:      m.Value.String(),
		ServerComponent: "None", LastTransition: m.LastTransition.UTC(), IsStale: m.Stale,
		MailboxServer: health.ServerOf(m, of.Active),
		Description:   catalogue.Help(m.Name),
		Flapping:      !m.FlapsSince.IsZero(),
		SeenBy:        m.Nodes,
	}
	if m.Component != "" {
		row.State, row.ServerComponent = onlineOffline(of.Serves(m.Component)), m.Component
	}
	if row.Flapping {
		since, until := m.FlapsSince.UTC(), m.FlapsUntil.UTC()
		row.FlapsSince, row.FlapsUntil = &since, &until
	}
	if !m.FirstAlert.IsZero() {
		at := m.FirstAlert.UTC()
		row.FirstAlert = &at
	}
	if r := m.LastResult; r != nil {
		at := r.End.UTC()
		row.LastExecution, row.LastResult = &at, r.Type.String()
	}
	if f := m.LastFailure; f != nil && m.Value != health.Healthy {
		row.Error, row.Dependency, row.Mailbox = f.Err, string(f.Dependency), f.Mailbox
	}
	return row
}

// MonitorRows lists the monitors that concern a mailbox server, or with "" all.
func MonitorRows(of Monitors, server string) []MonitorRow {
	rows := []MonitorRow{}
	for _, m := range of.Monitors() {
		if server == "" || health.Concerns(m, server, of.Active) {
			rows = append(rows, monitorRow(of, m))
		}
	}
	return rows
}

// setRows lists the health sets with their monitors.
func setRows(of Monitors) []SetRow {
	rows := []SetRow{}
	for _, s := range of.Sets() {
		known := catalogue.SetOf(s.Name)
		row := SetRow{
			Server: of.Node(), State: notApplicable, HealthSet: s.Name, AlertValue: s.Value.String(),
			LastTransition: s.LastTransition.UTC(), MonitorCount: len(s.Monitors),
			HealthGroup: known.Group, Monitors: []MonitorRow{},
		}
		if known.Component != "" {
			row.State = onlineOffline(of.Serves(known.Component))
		}
		for _, m := range s.Monitors {
			row.Monitors = append(row.Monitors, monitorRow(of, m))
		}
		rows = append(rows, row)
	}
	return rows
}
