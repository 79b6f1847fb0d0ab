package admin

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"portico/backend"
)

// The paths of mailbox servers.
const (
	PathServers       = prefix + "servers"
	PathServerBlock   = PathServers + "/{name}/block"
	PathServerUnblock = PathServers + "/{name}/unblock"
	PathServerPolicy  = PathServers + "/{name}/policy"
	PathServerPause   = PathServers + "/{name}/pause"
)

// Servers are the mailbox servers as the API shows and changes them.
type Servers interface {
	Servers(ctx context.Context) []MailboxServer
	// Blocked says whether no database may be activated on a server.
	Blocked(server string) bool
	// Block forbids new active copies on a server, and moves those that are there if it is asked to.
	Block(ctx context.Context, server string, move bool) ([]backend.MoveResult, error)
	Unblock(ctx context.Context, server string) (Change, error)
	// SetPolicy says whether databases are activated on a server automatically: Unrestricted, Blocked, or "" for as it
	// is configured.
	SetPolicy(ctx context.Context, server, policy string) (Change, error)
	// Pause holds the sign-ins to a server; zero ends that.
	Pause(ctx context.Context, server string, d time.Duration) (Change, error)
}

// MailboxServer is what the parts of a node know of a mailbox server.
type MailboxServer struct {
	Name        string
	Answer      error // what asking it just now has found; see backend.ReachOf
	Active      int   // databases that are
	CircuitOpen bool
	Policy      backend.Policy
	Queue       backend.SigninQueueState
	Blockers    []Blocker
}

// ServerState is a mailbox server as the API shows it.
type ServerState struct {
	Name    string  `json:"name"`
	State   string  `json:"state"`             // ServerUp, ServerDown or ServerUnknown
	Up      bool    `json:"up"`                // it answered when it was asked just now
	Error   string  `json:"error,omitempty"`   // or why it did not
	Breaker bool    `json:"breaker_open"`      // sign-ins leave it alone
	Policy  string  `json:"policy"`            // whether Portico activates databases there by itself
	Paused  float64 `json:"paused,omitempty"`  // seconds that sign-ins are still held
	Waiting int     `json:"waiting,omitempty"` // sign-ins that are held
	Blocked bool    `json:"blocked"`           // no database may be activated there
	// BlockedBy says who wants that: operator, maintenance, health.
	BlockedBy []string `json:"blocked_by,omitempty"`
	// Blockers names the users and tokens behind them too.
	Blockers []Blocker `json:"blockers,omitempty"`
	Active   int       `json:"active"` // databases that are
}

// Blocker is one who blocks activation on a mailbox server.
type Blocker struct {
	By  string `json:"by"`            // operator, maintenance, health
	Who string `json:"who,omitempty"` // the user or token that asked for it
	// Monitor is the identity of the monitor for which health blocks, and Why says what has to happen before health
	// lifts the block.
	Monitor string `json:"monitor,omitempty"`
	Why     string `json:"why,omitempty"`
}

// States of a mailbox server that was asked just now. One that could not be asked is unknown.
const (
	ServerUp      = "up"
	ServerDown    = "down"
	ServerUnknown = "unknown"
)

// BlockRequest asks that no database is activated on a mailbox server.
type BlockRequest struct {
	Move bool `json:"move,omitempty"` // the databases that are active there now
}

// PolicyRequest asks for a policy: Unrestricted, Blocked, or "" for as it is configured.
type PolicyRequest struct {
	Policy string `json:"policy,omitempty"`
}

// PauseRequest asks that sign-ins are held.
type PauseRequest struct {
	Seconds float64 `json:"seconds,omitempty"` // 0 ends that
}

// serverRoutes adds mailbox servers to the API.
func serverRoutes(api huma.API, s Servers) {
	get(api, "list-servers", PathServers, "List the mailbox servers, each asked now",
		func(ctx context.Context, _ *None) ([]ServerState, error) {
			return rowsOf(s.Servers(ctx), serverRow), nil
		})
	change(api, "block-server", PathServerBlock, "Forbid new active copies on a mailbox server",
		func(ctx context.Context, name string, r BlockRequest) ([]Move, error) {
			was := Activation(s.Blocked(name))
			moves, err := s.Block(ctx, name, r.Move)
			Changed(ctx, Difference{"activation on " + name, was, Activation(s.Blocked(name))})
			return moved(ctx, moves, err)
		})
	change(api, "unblock-server", PathServerUnblock, "Allow active copies on a mailbox server again",
		func(ctx context.Context, name string, _ None) (Change, error) { return s.Unblock(ctx, name) })
	change(api, "set-server-policy", PathServerPolicy,
		"Say whether Portico activates databases on a mailbox server by itself",
		func(ctx context.Context, name string, r PolicyRequest) (Change, error) {
			return s.SetPolicy(ctx, name, r.Policy)
		})
	change(api, "pause-server", PathServerPause, "Hold the sign-ins to a mailbox server for a time",
		func(ctx context.Context, name string, r PauseRequest) (Change, error) {
			return s.Pause(ctx, name, inSeconds(r.Seconds))
		})
}

// serverRow is a mailbox server in the API's words.
func serverRow(s MailboxServer) ServerState {
	row := ServerState{
		Name: s.Name, State: StateOf(s.Answer), Up: backend.ReachOf(s.Answer) == backend.ReachUp,
		Error: reason(s.Answer), Breaker: s.CircuitOpen,
		Policy: string(s.Policy), Paused: s.Queue.Paused.Seconds(), Waiting: s.Queue.Waiting,
		Blocked: len(s.Blockers) > 0, Blockers: s.Blockers, Active: s.Active,
	}
	for _, b := range s.Blockers {
		row.BlockedBy = append(row.BlockedBy, b.By)
	}
	return row
}

// StateOf says what asking a mailbox server has found.
func StateOf(answer error) string {
	switch backend.ReachOf(answer) {
	case backend.ReachUp:
		return ServerUp
	case backend.ReachDown:
		return ServerDown
	}
	return ServerUnknown
}

// reason is an error's text, "" for none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Activation says in words whether databases may be activated on a mailbox server.
func Activation(blocked bool) string {
	if blocked {
		return "blocked"
	}
	return "allowed"
}
