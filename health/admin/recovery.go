package admin

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"portico/health/recovery"
)

// The paths of recovery. GET on PathRecovery shows it, POST asks for an action.
const (
	PathRecovery = prefix + "recovery"
	PathRunbooks = prefix + "runbooks"
)

// Recovery is what Portico does about faults.
type Recovery interface {
	// Recovery is what is being done, and what was.
	Recovery() RecoveryState
	// Recover does an action that somebody asks for, and returns what became of it.
	Recover(ctx context.Context, r RecoveryRequest) (recovery.Record, error)
}

// RecoveryState is recovery as the API shows it.
type RecoveryState struct {
	Mode   recovery.Mode `json:"mode"`
	Active bool          `json:"active"` // component RecoveryActionsEnabled
	// mailbox servers for which RecoveryActionsEnabled is Inactive
	OffFor  []string          `json:"off_for,omitempty"`
	Ladders []recovery.Ladder `json:"ladders"`
	// Steps are the actions of each monitor, in order.
	Steps   map[string][]recovery.Action `json:"steps"`
	Records []recovery.Record            `json:"records"` // the latest first
	// health.escalate names somebody; else only the log learns of alerts
	Tells bool `json:"tells"`
}

// RecoveryRequest asks for an action, or that it be taken back.
type RecoveryRequest struct {
	Action   recovery.Action `json:"action"`
	Server   string          `json:"server,omitempty"`   // the mailbox server, where it is for one
	Database string          `json:"database,omitempty"` // the database, where it is for one
	Lift     bool            `json:"lift,omitempty"`     // take it back
	By       string          `json:"by,omitempty"`       // who asks, such as a runbook; "" for an operator
	Machine  bool            `json:"machine,omitempty"`  // nobody watches: throttle it
}

// RunbookRow is what to do by hand about an unhealthy monitor: a step, a look, the next step.
type RunbookRow struct {
	Name    string        `json:"name"`
	Monitor string        `json:"monitor"`
	Set     string        `json:"health_set"`
	Probe   string        `json:"probe,omitempty"` // to run for a look; missing if the monitor's state is all there is
	Of      string        `json:"of,omitempty"`    // what its target is: server or database; missing for this node
	Steps   []RunbookStep `json:"steps"`
}

// RunbookStep is a step of a runbook.
type RunbookStep struct {
	Action recovery.Action `json:"action,omitempty"` // for a request to do it; missing if there is nothing to do
	Wait   bool            `json:"wait,omitempty"`   // before the next look
	Text   string          `json:"text"`
	Help   string          `json:"help,omitempty"` // what the action does
}

// runbookRows lists the runbooks.
func runbookRows() []RunbookRow {
	return rowsOf(recovery.Runbooks, func(b recovery.Runbook) RunbookRow {
		return RunbookRow{Name: b.Name, Monitor: b.Monitor, Set: b.Set, Probe: b.Probe, Of: b.Of,
			Steps: rowsOf(b.Steps, func(s recovery.Step) RunbookStep {
				return RunbookStep{s.Do, s.Wait, s.Text, s.Do.Help()}
			})}
	})
}

// recoveryRoutes adds recovery to the API.
func recoveryRoutes(api huma.API, of Recovery) {
	get(api, "list-runbooks", PathRunbooks, "List the runbooks with their steps",
		func(context.Context, *None) ([]RunbookRow, error) { return runbookRows(), nil })
	get(api, "show-recovery", PathRecovery, "Show what recovery does, and has done",
		func(context.Context, *None) (RecoveryState, error) { return of.Recovery(), nil })
	change(api, "recover", PathRecovery, "Do a recovery action by hand, or take it back",
		func(ctx context.Context, _ string, r RecoveryRequest) (recovery.Record, error) {
			record, err := of.Recover(ctx, r)
			if err == nil {
				Changed(ctx, Difference{"recovery", nil, record})
			}
			return record, err
		})
}
