package backend

import (
	"context"
	"fmt"
)

// Policy says whether databases are activated on a server of themselves: Exchange's DatabaseCopyAutoActivationPolicy.
type Policy string

// The policies. What somebody asks for by name is done whatever the policy.
const (
	Unrestricted    Policy = "Unrestricted"
	BlockedByPolicy Policy = "Blocked"
)

// SetPolicy says whether databases are activated on a server of themselves; "" leaves that to the configuration.
func (m *ActiveManager) SetPolicy(ctx context.Context, server string, p Policy) error {
	m.moving.Lock()
	defer m.moving.Unlock()
	var err error
	if p == "" {
		err = m.remove(ctx, policyKey+server)
	} else {
		err = m.put(ctx, policyKey+server, string(p))
	}
	if err != nil {
		return fmt.Errorf("policy of %s: %w", server, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.policy, server)
	if p != "" {
		m.policy[server] = p
	}
	return nil
}

// Policy returns a server's policy where it was changed by command, or "".
func (m *ActiveManager) Policy(server string) Policy {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.policy[server]
}

// Block keeps databases from being activated on a server, until Unblock. Those that are active there stay so.
func (m *ActiveManager) Block(ctx context.Context, server string) error {
	m.moving.Lock()
	defer m.moving.Unlock()
	if err := m.put(ctx, blockedKey+server, "blocked"); err != nil {
		return fmt.Errorf("block %s: %w", server, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blocked[server] = true
	return nil
}

// Unblock lifts a block. Nothing moves back by that.
func (m *ActiveManager) Unblock(ctx context.Context, server string) error {
	m.moving.Lock()
	defer m.moving.Unlock()
	if err := m.remove(ctx, blockedKey+server); err != nil {
		return fmt.Errorf("unblock %s: %w", server, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blocked, server)
	return nil
}

// Blocked says whether activation is blocked on a server.
func (m *ActiveManager) Blocked(server string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.blocked[server]
}
