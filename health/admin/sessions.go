package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"portico/protolog"
	"portico/proxy"
)

// The paths of sessions.
const (
	PathSessions     = prefix + "sessions"
	PathSessionsKick = PathSessions + "/kick"
	PathUserKick     = PathUser + "/kick"
	PathSlow         = prefix + "slow"
)

// Sessions are the signed-in sessions as the API shows and ends them.
type Sessions interface {
	// Names lists the names that filters may have.
	Names() Names
	Sessions(ctx context.Context) []proxy.Session
	// Slow lists the slowest commands of the last day, the slowest first.
	Slow(ctx context.Context) []proxy.SlowCommand
	// Kick ends the sessions that fit all that is given, and lists them. They are over when it returns.
	Kick(ctx context.Context, which SessionFilter) ([]proxy.Session, error)
}

// SessionState is a signed-in session as the API shows it.
type SessionState struct {
	Node     string `json:"node,omitempty"` // whose session it is, where the sessions of several nodes are listed
	ID       string `json:"id"`
	User     string `json:"user"`
	Remote   string `json:"remote"` // the client's address
	Listener string `json:"listener"`
	Server   string `json:"server"`
	Database string `json:"database,omitempty"`
	Commands uint64 `json:"commands"` // answered so far
	Open     int    `json:"open"`     // begun and not ended

	Command string     `json:"command,omitempty"` // the oldest open one
	Began   *time.Time `json:"began,omitempty"`   // when it began
	Age     float64    `json:"age,omitempty"`     // seconds since then
	// the share of that in which it waited for the mailbox server, from 0 to 1
	Waiting float64 `json:"waiting,omitempty"`

	Idling bool    `json:"idling"` // waits for mail
	Oldest float64 `json:"oldest"` // seconds for which the oldest open command has waited for its answer
	Silent float64 `json:"silent"` // seconds since the client last sent something
}

// SlowCommand is one of the slowest commands of its mailbox server, verb and hour.
type SlowCommand struct {
	Node    string    `json:"node,omitempty"` // whose session it was, where the commands of several nodes are listed
	Ended   time.Time `json:"ended"`
	Command string    `json:"command"`
	Seconds float64   `json:"seconds"` // server time
	Result  string    `json:"result"`  // ok, no, bad, or aborted if the session ended first
	Server  string    `json:"server"`
	User    string    `json:"user"`
	Session string    `json:"session"`
	Remote  string    `json:"remote"` // the client's address
}

// SessionFilter says which sessions are meant: those that fit all that is given.
type SessionFilter struct {
	// User is what somebody has typed, where sessions are ended; see Users.Named. A list is of exactly this user.
	User    string `json:"user,omitempty" query:"user"`
	Session string `json:"session,omitempty" query:"session"`
	IP      string `json:"ip,omitempty" query:"ip"` // an address or a network
	Server  string `json:"server,omitempty" query:"server"`
}

// Test returns a function that says whether a session is meant. The filter has to have the one form of the user's
// name. An error is about IP.
func (f SessionFilter) Test() (fits func(id, user, server string, client netip.Addr) bool, err error) {
	var network netip.Prefix
	if f.IP != "" {
		if network, err = protolog.ParseNetwork(f.IP); err != nil {
			return nil, err
		}
	}
	return func(id, user, server string, client netip.Addr) bool {
		return (f.User == "" || user == f.User) && (f.Server == "" || server == f.Server) &&
			(f.Session == "" || strings.EqualFold(id, f.Session)) && protolog.Covers(network, client)
	}, nil
}

// Kicked lists sessions that were ended.
type Kicked struct {
	Ended    int            `json:"ended"`
	Sessions []SessionState `json:"sessions"`
}

// sessionRoutes adds sessions to the API.
func sessionRoutes(api huma.API, s Sessions) {
	get(api, "list-sessions", PathSessions, "List the signed-in sessions",
		func(ctx context.Context, q *SessionQuery) ([]SessionState, error) {
			return q.pick(s.Names(), sessionRows(s.Sessions(ctx)))
		})
	get(api, "list-slow-commands", PathSlow, "List the slowest commands of the last day",
		func(ctx context.Context, q *SlowQuery) ([]SlowCommand, error) {
			return q.pick(s.Names(), slowRows(s.Slow(ctx)))
		})
	change(api, "kick-user", PathUserKick, "End all sessions of a user",
		func(ctx context.Context, name string, _ None) (Kicked, error) {
			return kick(ctx, s, SessionFilter{User: name})
		})
	change(api, "kick-sessions", PathSessionsKick, "End the sessions that fit all that is given",
		func(ctx context.Context, _ string, which SessionFilter) (Kicked, error) { return kick(ctx, s, which) })
}

// sessionRows are sessions by user.
func sessionRows(sessions []proxy.Session) []SessionState {
	order := make([]int, len(sessions)) // sessions are large: only their numbers move
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &sessions[i], &sessions[j]
		return cmp.Or(strings.Compare(a.User, b.User), strings.Compare(a.ID, b.ID))
	})
	states, now := make([]SessionState, 0, len(sessions)), time.Now()
	for _, i := range order {
		s := &sessions[i]
		state := SessionState{
			ID: s.ID, User: s.User, Remote: s.Remote.String(), Listener: s.Listener, Server: s.Server,
			Database: s.Database,
			Commands: s.Commands, Open: s.Open, Idling: s.Idling, Oldest: s.Oldest.Seconds(),
			Silent: s.Silent.Seconds(),
		}
		if s.Open > 0 {
			began := now.Add(-s.Age).UTC().Truncate(time.Millisecond)
			state.Command, state.Began, state.Age = s.Verb.String(), &began, s.Age.Seconds()
			if s.Age > 0 {
				state.Waiting = min(s.Waited.Seconds()/s.Age.Seconds(), 1)
			}
		}
		states = append(states, state)
	}
	return states
}

// slowRows are commands in their order.
func slowRows(commands []proxy.SlowCommand) []SlowCommand {
	all := []SlowCommand{}
	for _, c := range commands {
		all = append(all, SlowCommand{
			Ended: c.Ended.UTC().Truncate(time.Millisecond), Command: c.Verb, Seconds: c.Took.Seconds(),
			Result: c.Result,
			Server: c.Session.Server, User: c.Session.User, Session: c.Session.ID, Remote: c.Session.Remote.String(),
		})
	}
	return all
}

// kick ends sessions.
func kick(ctx context.Context, s Sessions, which SessionFilter) (Kicked, error) {
	sessions, err := s.Kick(ctx, which)
	if err != nil {
		return Kicked{}, err
	}
	ended, open := sessionRows(sessions), []string{}
	for _, s := range ended {
		open = append(open, fmt.Sprintf("%s of %s from %s at %s", s.ID, s.User, s.Remote, s.Server))
	}
	Changed(ctx, Difference{"sessions", open, []string{}})
	return Kicked{Ended: len(ended), Sessions: ended}, nil
}
