package backend

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	m.judging.Lock()
	defer m.judging.Unlock()
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

// ByOperator is who blocks a mailbox server by hand.
const ByOperator = "operator"

// Block keeps databases from being activated on a server, until whoever has asked for it lifts that. Those that are active there stay so. by is
// who asks, in one word.
func (m *ActiveManager) Block(ctx context.Context, server, by string) error {
	m.judging.Lock()
	defer m.judging.Unlock()
	who := m.BlockedBy(server)
	if slices.Contains(who, by) {
		return nil
	}
	if err := m.putBlock(ctx, server, append(who, by)); err != nil {
		return fmt.Errorf("block %s: %w", server, err)
	}
	return nil
}

// Unblock lifts a block: that of one who has asked for it, or with "" all there are. Nothing moves back by that.
func (m *ActiveManager) Unblock(ctx context.Context, server, by string) error {
	m.judging.Lock()
	defer m.judging.Unlock()
	var who []string
	if by != "" {
		who = slices.DeleteFunc(m.BlockedBy(server), func(other string) bool { return other == by })
	}
	if err := m.putBlock(ctx, server, who); err != nil {
		return fmt.Errorf("unblock %s: %w", server, err)
	}
	return nil
}

// putBlock keeps who blocks a server. The caller holds judging.
func (m *ActiveManager) putBlock(ctx context.Context, server string, who []string) error {
	var err error
	if len(who) == 0 {
		err = m.remove(ctx, blockedKey+server)
	} else {
		err = m.put(ctx, blockedKey+server, strings.Join(who, " "))
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(who) == 0 {
		delete(m.blocked, server)
	} else {
		m.blocked[server] = who
	}
	return nil
}

// Blocked says whether activation is blocked on a server.
func (m *ActiveManager) Blocked(server string) bool { return len(m.BlockedBy(server)) > 0 }

// BlockedBy says who blocks activation on a server.
func (m *ActiveManager) BlockedBy(server string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.blocked[server])
}
