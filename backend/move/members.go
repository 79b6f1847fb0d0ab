package move

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"portico/cluster"
	"portico/configs/store"
)

// MaxKey is the longest key of a record.
const MaxKey = store.MaxKey

// retryTime is how long a member waits before it tries again to change the store.
const retryTime = time.Second

// Members are all that let people in: the nodes that are registered, as one of them sees them. It is safe for
// concurrent use.
type Members struct {
	store store.Store
	self  *cluster.Member
	given given
	heard heard
}

// NewMembers returns the members of the site to which this node belongs.
func NewMembers(s store.Store, self *cluster.Member) *Members {
	m := &Members{store: s, self: self}
	m.given.turn, m.given.closed = make(chan struct{}, 1), make(map[string]uint64)
	m.heard.waiting = make(map[chan<- struct{}]bool)
	return m
}

// name is that of this member; "" if there are no others.
func (m *Members) name() string {
	if m == nil {
		return ""
	}
	return m.self.Name()
}

// changed has a token when who is registered or present has changed; it is nil if there are no others.
func (m *Members) changed(ctx context.Context) <-chan struct{} {
	if m == nil {
		return nil
	}
	return m.self.Changed(ctx)
}

// present says whether another member of a name is.
func (m *Members) present(name string) bool {
	return m != nil && name != m.self.Name() && slices.Contains(m.self.Present(), name)
}

// Absent are the other members that are gone without a word, and may still have people in.
func (m *Members) Absent() []cluster.NodeState {
	if m == nil {
		return nil
	}
	return m.self.Absent()
}

// awaited is a member by the registration that counts.
type awaited struct{ name, boot string }

func namesOf(all []awaited) string {
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = a.name
	}
	return strings.Join(names, ", ")
}

// missing lists the other members that have not acknowledged a record at a revision, as far as this node has heard.
func (m *Members) missing(ctx context.Context, key string, revision uint64) (all []awaited, err error) {
	registered, err := cluster.Registered(ctx, m.store)
	if err != nil {
		return nil, err
	}
	own := m.self.Boot()
	for _, member := range registered {
		if member.Err == nil && (member.Value.Stopped || member.Name == m.self.Name() && member.Value.Boot == own) {
			continue
		}
		all = append(all, awaited{member.Name, member.Value.Boot}) // without a boot if it cannot be read
	}
	return m.silent(all, key, revision), nil
}

// silent leaves out who has acknowledged a record at a revision.
func (m *Members) silent(all []awaited, key string, revision uint64) []awaited {
	m.heard.mu.Lock()
	defer m.heard.mu.Unlock()
	return slices.DeleteFunc(all, func(a awaited) bool {
		by := m.heard.by[a.name]
		return a.boot != "" && by.Boot == a.boot && by.Closed[key] == revision
	})
}

// AbsentError says that members are gone without a word, and may still have people in.
type AbsentError struct{ Nodes []cluster.NodeState }

func (e *AbsentError) Error() string {
	words := make([]string, len(e.Nodes))
	for i, node := range e.Nodes {
		words[i] = fmt.Sprintf("%s is absent since %s and may still have sessions", node.Name,
			node.Since.Local().Format("15:04:05"))
	}
	return strings.Join(words, "; ")
}

// gone returns an AbsentError if one of the members that are missing is absent for longer than patience. Otherwise it
// returns when to look again; zero is when something changes.
func (m *Members) gone(missing []awaited, patience time.Duration) (next time.Duration, err error) {
	var gone []cluster.NodeState
	for _, node := range m.self.Absent() {
		if !slices.ContainsFunc(missing, func(a awaited) bool { return a.name == node.Name }) {
			continue
		}
		if left := patience - time.Since(node.Since); left > 0 && (next == 0 || left < next) {
			next = left
		} else if left <= 0 {
			gone = append(gone, node)
		}
	}
	if len(gone) > 0 {
		return 0, &AbsentError{gone}
	}
	return next, nil
}
