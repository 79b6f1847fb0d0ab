package node

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"portico/backend"
	"portico/health"
	"portico/health/admin"
	"portico/health/catalogue"
	"portico/proxy"
)

// signInState says whether a user whose location is known can sign in now.
func (s *service) signInState(ctx context.Context, at admin.UserLocation) *admin.SignInState {
	tier := s.now().tier()
	asked := tier.Answers(ctx)
	state := &admin.SignInState{State: stateOf(backend.ReachOf(asked[at.Server])), Copies: []admin.CopyStatus{}}
	closed := false
	for _, copied := range s.active.Copies() {
		if copied.Database == at.Database {
			status := copyStatus(copied, asked[copied.Server])
			state.Copies = append(state.Copies, status)
			closed = closed || status.Status == "FailedAndSuspended"
		}
	}
	var reasons []string
	switch down := state.State == admin.ServerDown; {
	case closed:
		reasons = append(reasons,
			fmt.Sprintf("no user is admitted to %s until it is moved: portico database move %s SERVER", at.Database,
				at.Database))
	case down:
		reasons = append(reasons, fmt.Sprintf("%s does not answer: %s", at.Server, reason(asked[at.Server])))
	case s.circuitBreakers.Open()[at.Server]:
		reasons = append(reasons, "the circuit breaker of "+at.Server+
			" is open: sign-ins are refused at once until a trial succeeds")
	default:
		state.Possible = true
	}
	if state.State == admin.ServerUnknown {
		reasons = append(reasons, reason(asked[at.Server]))
	}
	if held := s.held(at.Server); held != "admitted" {
		reasons = append(reasons, "sign-ins to "+at.Server+" are "+held)
	}
	if !state.Possible {
		if other := s.alternative(at.Database, asked); other != "" {
			state.Possible = true
			reasons = append(reasons, "sign-ins go to "+other+", which has the same mail; they may take longer")
		}
	}
	state.Reason = strings.Join(reasons, "; ")
	for _, m := range s.health.Monitors() {
		if m.Name == catalogue.Direct(catalogue.ScopeServer).Monitor && m.Target == at.Server &&
			!m.FirstAlert.IsZero() && m.Value != health.Healthy {
			since := m.FirstAlert.UTC()
			state.Since = &since
		}
	}
	state.Penalties = admin.PenaltyRows(slices.DeleteFunc(s.server.AuthDelays(), func(p proxy.AuthDelay) bool {
		return p.User != proxy.ShownName(at.User) || p.Failures == 0
	}))
	return state
}

// alternative returns the first server that takes sign-ins to a database in place of the one with the active copy; ""
// if there is none. asked is what asking all servers has found.
func (s *service) alternative(database string, asked map[string]error) string {
	open := s.circuitBreakers.Open()
	for _, server := range s.now().tier().Alternatives(database) {
		if backend.ReachOf(asked[server]) == backend.ReachUp && !open[server] {
			return server
		}
	}
	return ""
}
