package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"portico/backend"
	"portico/health/admin"
)

// serversAPI implements admin.Servers.
type serversAPI struct{ s *service }

// Servers implements admin.Servers.
func (c serversAPI) Servers(ctx context.Context) []admin.MailboxServer {
	tier := c.s.current().tier()
	answers := tier.RecentChecks(ctx)
	open := c.s.mailbox.circuitBreakers.Open()
	active := make(map[string]int)
	for _, copied := range c.s.mailbox.active.Copies() {
		if copied.Active {
			active[copied.Server]++
		}
	}
	var all []admin.MailboxServer
	for _, name := range tier.Servers() {
		of := admin.MailboxServer{Name: name, Answer: answers[name], Active: active[name], CircuitOpen: open[name],
			Policy: tier.Policy(name), Queue: c.s.mailbox.signinQueues.State(name)}
		for _, b := range c.s.mailbox.active.Blockers(name) {
			of.Blockers = append(of.Blockers, c.s.recovery.blocker(name, b))
		}
		all = append(all, of)
	}
	return all
}

// Blocked implements admin.Servers.
func (c serversAPI) Blocked(server string) bool { return c.s.mailbox.active.Blocked(server) }

// Block implements admin.Servers.
func (c serversAPI) Block(ctx context.Context, server string, move bool) ([]backend.MoveResult, error) {
	if err := c.s.current().known(server); err != nil {
		return nil, err
	}
	if err := c.s.mailbox.active.BlockAs(ctx, server,
		backend.Blocker{By: backend.ByOperator, Who: admin.Who(ctx)}); err != nil {
		return nil, err
	}
	c.s.log.Warn().Str("server", server).Bool("move", move).Msg("activation on a mailbox server blocked")
	if !move {
		return nil, nil
	}
	return c.s.moves.evacuate(ctx, server)
}

// Unblock implements admin.Servers.
func (c serversAPI) Unblock(ctx context.Context, server string) (admin.Change, error) {
	if err := c.s.current().known(server); err != nil {
		return admin.Change{}, err
	}
	was := c.s.mailbox.activation(server)
	if err := c.s.mailbox.active.Unblock(ctx, server, ""); err != nil {
		return admin.Change{}, err
	}
	c.s.log.Info().Str("server", server).Msg("activation on a mailbox server unblocked")
	return admin.Change{What: "activation on " + server, Was: was, Now: c.s.mailbox.activation(server)}, nil
}

// SetPolicy implements admin.Servers.
func (c serversAPI) SetPolicy(ctx context.Context, server, policy string) (admin.Change, error) {
	if err := c.s.current().known(server); err != nil {
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
	was := c.s.current().tier().Policy(server)
	if err := c.s.mailbox.active.SetPolicy(ctx, server, set); err != nil {
		return admin.Change{}, err
	}
	now := c.s.current().tier().Policy(server)
	c.s.log.Warn().Str("server", server).Str("policy", string(now)).
		Msg("activation policy of a mailbox server changed")
	return admin.Change{What: "AutoActivationPolicy of " + server, Was: string(was), Now: string(now)}, nil
}

// Pause implements admin.Servers.
func (c serversAPI) Pause(ctx context.Context, server string, d time.Duration) (admin.Change, error) {
	if err := c.s.current().known(server); err != nil {
		return admin.Change{}, err
	}
	change := admin.Change{What: "sign-ins to " + server, Was: c.s.mailbox.held(server)}
	if d == 0 {
		if err := c.s.mailbox.resume(ctx, server); err != nil {
			return admin.Change{}, err
		}
		c.s.log.Warn().Str("server", server).Msg("sign-ins to a mailbox server resumed")
	} else {
		if err := c.s.mailbox.pause(ctx, server, d); err != nil {
			return admin.Change{}, err
		}
		c.s.log.Warn().Str("server", server).Stringer("for", d).Msg("sign-ins to a mailbox server paused")
	}
	change.Now = c.s.mailbox.held(server)
	return change, nil
}
