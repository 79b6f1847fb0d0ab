package recovery

import (
	"context"
	"strings"
	"time"
)

// Action is a step of a ladder, in the configuration's words.
type Action string

// The actions.
const (
	RestartService Action = "restart_service" // of a mailbox server, by an operator's hook
	Failover       Action = "failover"        // the databases that are active on it move to other copies
	// the machine, by an operator's hook; refused while a copy is active there
	RestartServer   Action = "restart_server"
	ProtocolLog     Action = "protocol_log"      // is on for the probe's account while the fault lasts
	RestartFrontEnd Action = "restart_front_end" // our own listeners and set-up; sessions go on
	OutOfService    Action = "out_of_service"    // component ImapProxy is Inactive while the fault lasts
	StopCanary      Action = "stop_canary"       // users of the canary go where the others are
	Escalate        Action = "escalate"          // people are told
)

// kind has the properties of an action.
type kind struct {
	id       string // in the recovery log
	lifted   string // in the recovery log, when it is taken back
	suffix   string // of the responder's name
	onServer bool   // it is for a mailbox server that is at fault itself
	whole    bool   // it hits all databases on the server
	restarts bool   // a mailbox server, or its service
	mends    bool   // a fault may be over by it
	informs  bool   // people are told once it is done
	again    bool   // done twice it is as good as done once, so an interrupted one is done again
	resource func(c Case) string
}

var kinds = map[Action]kind{
	RestartService: {id: "RestartService", suffix: "RestartService", onServer: true, whole: true, restarts: true,
		mends: true, resource: Case.server},
	Failover: {id: "ServerFailover", lifted: "AllowActivation", suffix: "Failover", onServer: true, again: true,
		mends: true, informs: true, resource: Case.moved},
	RestartServer: {id: "ForceReboot", suffix: "RestartServer", onServer: true, whole: true, restarts: true,
		mends: true, resource: Case.server},
	ProtocolLog: {id: "EnableProtocolLog", lifted: "DisableProtocolLog", suffix: "ProtocolLog", again: true,
		resource: Case.database},
	RestartFrontEnd: {id: "RestartFrontEnd", suffix: "RestartFrontEnd", again: true, mends: true,
		resource: Case.frontEnd},
	OutOfService: {id: "TakeComponentOffline", lifted: "BringComponentOnline", suffix: "Offline", again: true,
		resource: Case.frontEnd},
	StopCanary: {id: "StopCanary", suffix: "Stop", again: true, informs: true, resource: Case.canary},
	Escalate:   {id: "Escalate", suffix: "Escalate", again: true, resource: Case.database},
}

// Responder is the name under which an action is asked for: that of the monitor, with the action in the place of
// Monitor.
func (a Action) Responder(monitor string) string {
	return strings.TrimSuffix(monitor, "Monitor") + kinds[a].suffix
}

// help says what the actions do.
var help = map[Action]string{
	RestartService: "Restarts the IMAP service on the mailbox server with the hook health.recovery.restart_service.",
	Failover: "Moves the databases that are active on the mailbox server to other copies, and blocks " +
		"activation there while the fault lasts.",
	RestartServer: "Restarts the mailbox server with the hook health.recovery.restart_server. Refused while a " +
		"database is active there.",
	ProtocolLog:     "Switches on the protocol log for the health mailbox while the fault lasts.",
	RestartFrontEnd: "Reopens Portico's listeners and rebuilds everything behind them. Open sessions continue.",
	OutOfService:    "Sets component ImapProxy to Inactive while the fault lasts.",
	StopCanary:      "Stops the canary: its users sign in again where the others are.",
	Escalate:        "Sends an alert.",
}

// Help says what an action does.
func (a Action) Help() string { return help[a] }

// Known says whether there is such an action.
func (a Action) Known() bool { _, ok := kinds[a]; return ok }

// Restarts says whether the action restarts a mailbox server, or its service. Such an action may return long before
// the server is back.
func (a Action) Restarts() bool { return kinds[a].restarts }

// actionOf returns the action whose records have an ID, "" if that is of none, or of one taken back.
func actionOf(id string) Action {
	for action, k := range kinds {
		if k.id == id {
			return action
		}
	}
	return ""
}

// isRestart says whether a record's ID is that of a restart.
func isRestart(id string) bool { return actionOf(id).Restarts() }

// Actor does an action.
type Actor struct {
	// Do does it and says what it has done. Skipped says that there was nothing to do. It ends soon after its context,
	// which lasts for StepTime at most. c.Instance is the step's record.
	Do func(ctx context.Context, c Case) (what string, err error)
	// Undo takes back what Do has done, and nothing that somebody else has; nil if nothing is to be taken back.
	Undo func(ctx context.Context, c Case) error
}

// StepTime bounds an action. Another node waits so long before it takes the action for interrupted.
const StepTime = 5 * time.Minute

// do is Do within a time.
func (a Actor) do(ctx context.Context, c Case, limit time.Duration) (what string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return a.Do(ctx, c)
}

// Skipped is why an action was not done, although nothing failed.
type Skipped string

// Partial says what an action has done, and what it could not do.
type Partial string

// Error implements error.
func (p Partial) Error() string { return string(p) }

// Error implements error.
func (s Skipped) Error() string { return string(s) }

// ID returns the action's name in the recovery log, which is Exchange's.
func (a Action) ID() string { return kinds[a].id }
