package backend

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"portico/configs/store"
)

// Policy says whether databases are activated on a server automatically: Exchange's DatabaseCopyAutoActivationPolicy.
type Policy string

// The policies. They do not apply to moves to a server that an operator names.
const (
	Unrestricted    Policy = "Unrestricted"
	BlockedByPolicy Policy = "Blocked"
)

// parsePolicy reads what the store has of a server's policy.
func parsePolicy(text string) (Policy, error) {
	if p := Policy(text); p == Unrestricted || p == BlockedByPolicy {
		return p, nil
	}
	return "", fmt.Errorf("there is no policy %q: the one before applies, or else the configured one", text)
}

// takePolicies takes in the policies that were changed by command.
func (m *ActiveManager) takePolicies() {
	now := values(m.stored.policy)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.policy = now
}

// SetPolicy sets a server's policy; "" restores the policy of the configuration.
func (m *ActiveManager) SetPolicy(ctx context.Context, server string, p Policy) error {
	_, err := changeEntry(ctx, m.stored.policy, server, func(store.Item[Policy]) (Policy, change) {
		if p == "" {
			return p, removeEntry
		}
		return p, putEntry
	})
	if err != nil {
		return fmt.Errorf("policy of %s: %w", server, err)
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

// blockersText is a server's blockers in the store.
func blockersText(all []Blocker) string {
	words := make([]string, len(all))
	for i, b := range all {
		words[i] = b.String()
	}
	return strings.Join(words, " ")
}

// parseBlockers reads what the store has of a server's blockers. It takes any text.
func parseBlockers(value string) ([]Blocker, error) {
	if value == "blocked" { // as it was written before there were several who could
		value = ByOperator
	}
	var all []Blocker
	for word := range strings.FieldsSeq(value) {
		by, who, _ := strings.Cut(word, "=")
		who, _ = url.QueryUnescape(who)
		all = append(all, Blocker{By: by, Who: who})
	}
	return all, nil
}

// takeBlocked takes in who blocks which server.
func (m *ActiveManager) takeBlocked() {
	now := values(m.stored.blocked)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blocked = now
}

// Block is BlockAs for a part of Portico.
func (m *ActiveManager) Block(ctx context.Context, server, by string) error {
	return m.BlockAs(ctx, server, Blocker{By: by})
}

// BlockAs prevents activation of databases on a server, until Unblock with the same word. Databases that are active
// there stay active. If the word already blocks the server, the earlier requester is kept.
func (m *ActiveManager) BlockAs(ctx context.Context, server string, b Blocker) error {
	_, err := changeEntry(ctx, m.stored.blocked, server, func(now store.Item[[]Blocker]) ([]Blocker, change) {
		if slices.ContainsFunc(now.Value, func(other Blocker) bool { return other.By == b.By }) {
			return nil, keepEntry
		}
		return append(now.Value, b), putEntry
	})
	if err != nil {
		return fmt.Errorf("block %s: %w", server, err)
	}
	return nil
}

// Unblock lifts the block of one word, or with "" all blocks. It moves no database back.
func (m *ActiveManager) Unblock(ctx context.Context, server, by string) error {
	_, err := changeEntry(ctx, m.stored.blocked, server, func(now store.Item[[]Blocker]) ([]Blocker, change) {
		rest := slices.DeleteFunc(slices.Clone(now.Value), func(b Blocker) bool { return by == "" || b.By == by })
		switch len(rest) {
		case 0:
			return nil, removeEntry
		case len(now.Value):
			return nil, keepEntry
		}
		return rest, putEntry
	})
	if err != nil {
		return fmt.Errorf("unblock %s: %w", server, err)
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

// Blockers returns those who block activation on a server, in the order in which they did.
func (m *ActiveManager) Blockers(server string) []Blocker {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.blocked[server])
}

// Policy returns a server's policy: as it was changed by command, else as it is configured.
func (t *Tier) Policy(server string) Policy {
	if p := t.active.Policy(server); p != "" {
		return p
	}
	if s := t.topology.servers[server]; s != nil {
		return s.policy
	}
	return Unrestricted
}
