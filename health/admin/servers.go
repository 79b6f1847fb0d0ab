package admin

import (
	"context"
	"net/http"
	"time"

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

// serverRoutes adds mailbox servers to the pages.
func serverRoutes(mux *http.ServeMux, s Servers) {
	get(mux, PathServers, func(r *http.Request) (any, error) {
		rows := []ServerState{}
		for _, server := range s.Servers(r.Context()) {
			rows = append(rows, serverRow(server))
		}
		return rows, nil
	})
	change(mux, PathServerBlock, func(ctx context.Context, name string, body struct{ Move bool }) (any, error) {
		was := Activation(s.Blocked(name))
		moves, err := s.Block(ctx, name, body.Move)
		Changed(ctx, Difference{"activation on " + name, was, Activation(s.Blocked(name))})
		return moved(ctx, moves, err)
	})
	change(mux, PathServerUnblock, func(ctx context.Context, name string, _ struct{}) (any, error) {
		return s.Unblock(ctx, name)
	})
	change(mux, PathServerPolicy, func(ctx context.Context, name string, body struct{ Policy string }) (any, error) {
		return s.SetPolicy(ctx, name, body.Policy)
	})
	change(mux, PathServerPause, func(ctx context.Context, name string, body struct{ Seconds float64 }) (any, error) {
		return s.Pause(ctx, name, inSeconds(body.Seconds))
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
