package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"portico/backend"
	"portico/health/admin"
)

// serversAPI implements admin.Servers.
type serversAPI struct{ s *service }

// Servers implements admin.Servers.
func (c serversAPI) Servers(ctx context.Context) []admin.ServerState {
	tier := c.s.now().tier()
	names := tier.Servers()
	asked := tier.Answers(ctx)
	open := c.s.circuitBreakers.Open()
	active := make(map[string]int)
	for _, copied := range c.s.active.Copies() {
		if copied.Active {
			active[copied.Server]++
		}
	}
	states := []admin.ServerState{}
	for _, name := range names {
		reach := backend.ReachOf(asked[name])
		s := admin.ServerState{Name: name, State: stateOf(reach), Up: reach == backend.ReachUp, Active: active[name],
			Blocked: c.s.active.Blocked(name), Breaker: open[name]}
		queue := c.s.signinQueues.State(name)
		s.Policy, s.Paused, s.Waiting = string(tier.Policy(name)), queue.Paused.Seconds(), queue.Waiting
		for _, b := range c.s.active.Blockers(name) {
			s.BlockedBy, s.Blockers = append(s.BlockedBy, b.By), append(s.Blockers, c.s.blocker(name, b))
		}
		s.Error = reason(asked[name])
		states = append(states, s)
	}
	return states
}

// Blocked implements admin.Servers.
func (c serversAPI) Blocked(server string) bool { return c.s.active.Blocked(server) }

// Block implements admin.Servers.
func (c serversAPI) Block(ctx context.Context, server string, move bool) ([]backend.MoveResult, error) {
	if err := c.s.known(server); err != nil {
		return nil, err
	}
	if err := c.s.active.BlockAs(ctx, server,
		backend.Blocker{By: backend.ByOperator, Who: admin.Who(ctx)}); err != nil {
		return nil, err
	}
	c.s.log.Warn().Str("server", server).Bool("move", move).Msg("activation on a mailbox server blocked")
	if !move {
		return nil, nil
	}
	return c.s.evacuate(ctx, server)
}

// Unblock implements admin.Servers.
func (c serversAPI) Unblock(ctx context.Context, server string) (admin.Change, error) {
	if err := c.s.known(server); err != nil {
		return admin.Change{}, err
	}
	was := c.s.activation(server)
	if err := c.s.active.Unblock(ctx, server, ""); err != nil {
		return admin.Change{}, err
	}
	c.s.log.Info().Str("server", server).Msg("activation on a mailbox server unblocked")
	return admin.Change{What: "activation on " + server, Was: was, Now: c.s.activation(server)}, nil
}

// activation says whether databases may be activated on a server.
func (s *service) activation(server string) string { return admin.Activation(s.active.Blocked(server)) }

// known returns an error if there is no mailbox server of a name.
func (s *service) known(server string) error {
	if slices.Contains(s.now().tier().Servers(), server) {
		return nil
	}
	return admin.NoSuch("mailbox server", server, s.now().tier().Servers())
}

// SetPolicy implements admin.Servers.
func (c serversAPI) SetPolicy(ctx context.Context, server, policy string) (admin.Change, error) {
	if err := c.s.known(server); err != nil {
		return admin.Change{}, err
	}
	var set backend.Policy
	for _, p := range []backend.Policy{backend.Unrestricted, backend.BlockedByPolicy, ""} {
		if strings.EqualFold(string(p), policy) {
			set = p
		}
	}
	if !strings.EqualFold(string(set), policy) {
		return admin.Change{}, fmt.Errorf("a policy must be %s or %s, not %q", backend.Unrestricted,
			backend.BlockedByPolicy, policy)
	}
	was := c.s.now().tier().Policy(server)
	if err := c.s.active.SetPolicy(ctx, server, set); err != nil {
		return admin.Change{}, err
	}
	now := c.s.now().tier().Policy(server)
	c.s.log.Warn().Str("server", server).Str("policy", string(now)).
		Msg("activation policy of a mailbox server changed")
	return admin.Change{What: "AutoActivationPolicy of " + server, Was: string(was), Now: string(now)}, nil
}

// Pause implements admin.Servers.
func (c serversAPI) Pause(_ context.Context, server string, d time.Duration) (admin.Change, error) {
	if err := c.s.known(server); err != nil {
		return admin.Change{}, err
	}
	change := admin.Change{What: "sign-ins to " + server, Was: c.s.held(server)}
	if d == 0 {
		c.s.signinQueues.Resume(server)
		c.s.log.Warn().Str("server", server).Msg("sign-ins to a mailbox server resumed")
	} else {
		if err := c.s.signinQueues.Pause(server, d); err != nil {
			return admin.Change{}, err
		}
		c.s.log.Warn().Str("server", server).Dur("for", d).Msg("sign-ins to a mailbox server paused")
	}
	change.Now = c.s.held(server)
	return change, nil
}

// held says for how long the sign-ins to a server still wait, and how many do.
func (s *service) held(server string) string {
	queue := s.signinQueues.State(server)
	if queue.Paused <= 0 {
		return "admitted"
	}
	return fmt.Sprintf("held for %v, %d waiting", queue.Paused.Round(time.Second), queue.Waiting)
}

// reason is an error's text, "" for none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// stateOf is what is known of a mailbox server.
func stateOf(r backend.Reach) string {
	switch r {
	case backend.ReachUp:
		return admin.ServerUp
	case backend.ReachDown:
		return admin.ServerDown
	}
	return admin.ServerUnknown
}
