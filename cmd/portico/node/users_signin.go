package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"portico/backend"
	"portico/health"
	"portico/health/admin"
	"portico/health/catalogue"
	"portico/proxy"
)

// signInState says whether a user whose location is known can sign in now.
func (c usersAPI) signInState(ctx context.Context, at admin.UserLocation) *admin.SignInState {
	answers := c.s.current().tier().RecentChecks(ctx)
	state := &admin.SignInState{State: admin.StateOf(answers[at.Server]), Copies: []admin.CopyStatus{}}
	for _, copied := range c.s.mailbox.active.Copies() {
		if copied.Database == at.Database {
			of := admin.Copy{CopyState: copied, Answer: answers[copied.Server]}
			state.Copies = append(state.Copies, admin.CopyRow(of))
		}
	}
	state.Possible, state.Reason = c.mayEnter(at, state, answers)
	state.Since = c.failingSince(at.Server)
	delays := slices.DeleteFunc(c.s.clients.server.AuthDelays(), func(p proxy.AuthDelay) bool {
		return p.User != proxy.ShownName(at.User) || p.Failures == 0
	})
	state.Penalties = admin.PenaltyRows(delays)
	return state
}

// mayEnter says whether a sign-in can succeed now, and what prevents or delays it. answers are those of all mailbox
// servers.
func (c usersAPI) mayEnter(at admin.UserLocation, state *admin.SignInState, answers map[string]error) (possible bool,
	reason string) {
	var reasons []string
	add := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	closed := slices.ContainsFunc(state.Copies, func(c admin.CopyStatus) bool {
		return c.Status == admin.CopySuspended
	})
	switch {
	case closed:
		add("no user is admitted to %s until it is moved: portico database move %s SERVER", at.Database, at.Database)
	case state.State == admin.ServerDown:
		add("%s does not answer: %v", at.Server, answers[at.Server])
	case c.s.mailbox.circuitBreakers.Open()[at.Server]:
		add("the circuit breaker of %s is open: sign-ins are refused at once until a trial succeeds", at.Server)
	default:
		possible = true
	}
	if err := answers[at.Server]; state.State == admin.ServerUnknown {
		add("%v", err)
	}
	if held := c.s.mailbox.held(at.Server); held != admitted {
		add("sign-ins to %s are %s", at.Server, held)
	}
	if other := c.alternative(at.Database, answers); !possible && other != "" {
		possible = true
		add("sign-ins go to %s, which has the same mail; they may take longer", other)
	}
	return possible, strings.Join(reasons, "; ")
}

// failingSince returns since when a mailbox server's own monitor is not Healthy, nil if it is.
func (c usersAPI) failingSince(server string) *time.Time {
	name := catalogue.Direct(catalogue.ScopeServer).Monitor
	for _, m := range c.s.monitoring.engine.Monitors() {
		if m.Name == name && m.Target == server && !m.FirstAlert.IsZero() && m.Value != health.Healthy {
			since := m.FirstAlert.UTC()
			return &since
		}
	}
	return nil
}

// alternative returns the first server that takes sign-ins to a database in place of the one with the active copy; ""
// if there is none. asked is what asking all servers has found.
func (c usersAPI) alternative(database string, asked map[string]error) string {
	open := c.s.mailbox.circuitBreakers.Open()
	for _, server := range c.s.current().tier().Alternatives(database) {
		if backend.ReachOf(asked[server]) == backend.ReachUp && !open[server] {
			return server
		}
	}
	return ""
}
