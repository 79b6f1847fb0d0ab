package move

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"portico/cluster"
	"portico/configs/store"
)

// acksKey and a record's key, a slash and a node are the key of the node's acknowledgement.
const acksKey = "acks/"

// MaxKey is the longest key of a record, so that a member's acknowledgement of it has a key too.
const MaxKey = store.MaxKey - len(acksKey) - 1 - cluster.MaxName

// retryTime is how long a member waits before it tries again to change the store.
const retryTime = time.Second

// acknowledgement says that a member lets nobody in, and that nobody is in, because of a record that closes.
type acknowledgement struct {
	Boot     string `json:"boot"`     // of the member's registration
	Revision uint64 `json:"revision"` // of the record
}

// Members are all that let people in: the nodes that are registered, as one of them sees them. It is safe for
// concurrent use.
type Members struct {
	store store.Store
	self  *cluster.Member
}

// NewMembers returns the members of the site to which this node belongs.
func NewMembers(s store.Store, self *cluster.Member) *Members { return &Members{s, self} }

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

// acknowledge stores that this member has nobody in, because of a record at a revision. It returns the boot by which it
// is registered.
func (m *Members) acknowledge(ctx context.Context, key string, revision uint64) (boot string, err error) {
	boot, registered := m.self.While()
	text, _ := json.Marshal(acknowledgement{boot, revision}) // a string and a number
	at := acksKey + key + "/" + m.self.Name()
	before, err := m.store.Get(ctx, at)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		_, err = registered.CompareAndSet(ctx, at, before.Revision, text)
	}
	return boot, err
}

// forget removes this member's acknowledgement of a record, once it is of no use. If that fails, the next one replaces
// it.
func (m *Members) forget(ctx context.Context, key string) {
	before, err := m.store.Get(ctx, acksKey+key+"/"+m.self.Name())
	if err == nil {
		_ = m.store.Delete(ctx, before.Key, before.Revision)
	}
}

// Forget removes the acknowledgements of a node that was removed from the site: they are of no use any more.
func Forget(ctx context.Context, s store.Store, node cluster.Node) error {
	all, err := s.List(ctx, acksKey)
	for _, entry := range all {
		var ack acknowledgement
		if !strings.HasSuffix(entry.Key, "/"+node.Name) || json.Unmarshal(entry.Value, &ack) != nil ||
			ack.Boot != node.Boot { // or of the node after it is back
			continue
		}
		err = errors.Join(err, s.Delete(ctx, entry.Key, entry.Revision))
	}
	return err
}

// missing lists the other members that have not acknowledged a record at a revision.
func (m *Members) missing(ctx context.Context, key string, revision uint64) (names []string, err error) {
	all, err := cluster.Registered(ctx, m.store)
	if err != nil {
		return nil, err
	}
	own := m.self.Boot()
	for _, member := range all {
		switch entry, err := m.store.Get(ctx, acksKey+key+"/"+member.Name); {
		case member.Err == nil && (member.Value.Stopped || member.Name == m.self.Name() && member.Value.Boot == own):
		case errors.Is(err, store.ErrNotFound):
			names = append(names, member.Name)
		case err != nil:
			return nil, err
		default:
			var ack acknowledgement
			if json.Unmarshal(entry.Value, &ack) != nil || member.Err != nil ||
				ack != (acknowledgement{member.Value.Boot, revision}) {
				names = append(names, member.Name)
			}
		}
	}
	return names, nil
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
func (m *Members) gone(missing []string, patience time.Duration) (next time.Duration, err error) {
	var gone []cluster.NodeState
	for _, node := range m.self.Absent() {
		if !slices.Contains(missing, node.Name) {
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
