package backend

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Policy says whether databases are activated on a server automatically: Exchange's DatabaseCopyAutoActivationPolicy.
type Policy string

// The policies. They do not apply to moves to a server that an operator names.
const (
	Unrestricted    Policy = "Unrestricted"
	BlockedByPolicy Policy = "Blocked"
)

// SetPolicy sets a server's policy; "" restores the policy of the configuration.
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

// A Blocker is one reason for which no database may be activated on a server.
type Blocker struct {
	By  string // who can lift it, in one word: ByOperator, or a part of Portico
	Who string // the person or token that asked for it; "" if Portico did, or if it is not known
}

// String is the blocker in the store: its word, and who asked, escaped.
func (b Blocker) String() string {
	if b.Who == "" {
		return b.By
	}
	return b.By + "=" + url.QueryEscape(b.Who)
}

// parseBlockers reads what the store has of a server's blockers.
func parseBlockers(value string) []Blocker {
	if value == "blocked" { // as it was written before there were several who could
		value = ByOperator
	}
	var all []Blocker
	for word := range strings.FieldsSeq(value) {
		by, who, _ := strings.Cut(word, "=")
		who, _ = url.QueryUnescape(who)
		all = append(all, Blocker{By: by, Who: who})
	}
	return all
}

// Block is BlockAs for a part of Portico.
func (m *ActiveManager) Block(ctx context.Context, server, by string) error {
	return m.BlockAs(ctx, server, Blocker{By: by})
}

// BlockAs prevents activation of databases on a server, until Unblock with the same word. Databases that are active
// there stay active. If the word already blocks the server, the earlier requester is kept.
func (m *ActiveManager) BlockAs(ctx context.Context, server string, b Blocker) error {
	m.judging.Lock()
	defer m.judging.Unlock()
	all := m.Blockers(server)
	if slices.ContainsFunc(all, func(other Blocker) bool { return other.By == b.By }) {
		return nil
	}
	if err := m.putBlockers(ctx, server, append(all, b)); err != nil {
		return fmt.Errorf("block %s: %w", server, err)
	}
	return nil
}

// Unblock lifts the block of one word, or with "" all blocks. It moves no database back.
func (m *ActiveManager) Unblock(ctx context.Context, server, by string) error {
	m.judging.Lock()
	defer m.judging.Unlock()
	var rest []Blocker
	if by != "" {
		rest = slices.DeleteFunc(m.Blockers(server), func(other Blocker) bool { return other.By == by })
	}
	if err := m.putBlockers(ctx, server, rest); err != nil {
		return fmt.Errorf("unblock %s: %w", server, err)
	}
	return nil
}

// putBlockers keeps who blocks a server. The caller holds judging.
func (m *ActiveManager) putBlockers(ctx context.Context, server string, all []Blocker) error {
	var err error
	if len(all) == 0 {
		err = m.remove(ctx, blockedKey+server)
	} else {
		words := make([]string, len(all))
		for i, b := range all {
			words[i] = b.String()
		}
		err = m.put(ctx, blockedKey+server, strings.Join(words, " "))
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(all) == 0 {
		delete(m.blocked, server)
	} else {
		m.blocked[server] = all
	}
	return nil
}

// Blocked says whether activation is blocked on a server.
func (m *ActiveManager) Blocked(server string) bool { return len(m.Blockers(server)) > 0 }

// BlockedBy returns the words of those who block activation on a server.
func (m *ActiveManager) BlockedBy(server string) []string {
	var words []string
	for _, b := range m.Blockers(server) {
		words = append(words, b.By)
	}
	return words
}

// Blockers returns those who block activation on a server, the first first.
func (m *ActiveManager) Blockers(server string) []Blocker {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.blocked[server])
}
