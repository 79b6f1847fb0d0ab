package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"portico/configs/store"
)

// Keys of the store.
const (
	nodesKey   = "nodes/"   // and a name: Node
	presentKey = "present/" // and a name, under a lease: presence
)

// MaxName is the longest name of a node, in bytes.
const MaxName = 64

// Node is a node as the store has it. It stays until somebody removes it: one that cannot be reached may still let
// users in.
type Node struct {
	Name    string    `json:"-"`                 // it has 1 to MaxName bytes and no slash
	Boot    string    `json:"boot"`              // random, new each time that the node registers
	Machine string    `json:"machine,omitempty"` // random, of a data_dir: tells machines of one name apart
	Address string    `json:"address,omitempty"` // URL of its admin API; "" if other nodes cannot reach it
	Version string    `json:"version,omitempty"` // of Portico
	Since   time.Time `json:"since,omitzero"`    // when it has registered, by its own clock
	Stopped bool      `json:"stopped,omitempty"` // it has ended properly, so nobody is in
}

// Errors of this package.
var (
	// ErrTaken means that another machine has the same name: it is present, or may still serve users.
	ErrTaken = errors.New("another machine has the same name: each node needs a cluster.name of its own")
	// ErrPresent means that a node that is to be removed is present.
	ErrPresent = errors.New("the node is present: stop Portico there first")
	// ErrMayServe means that a node that is to be removed has not ended properly.
	ErrMayServe = errors.New("the node has not ended properly, and may still serve users")
	// ErrBack means that a node that is to be removed has registered again since somebody judged it.
	ErrBack = errors.New("the node has registered again meanwhile: it is back")
	// ErrUnknown means that no such node is registered.
	ErrUnknown = errors.New("no such node is registered")
)

func checkName(name string) error {
	if name == "" || len(name) > MaxName || strings.Contains(name, "/") {
		return fmt.Errorf("node %q: the name must have 1 to %d bytes and no slash", name, MaxName)
	}
	return nil
}

// Registered lists the nodes of a site as the store has them now, sorted by name. An entry that cannot be read has an
// Err.
func Registered(ctx context.Context, s store.Store) ([]store.Item[Node], error) {
	all, err := store.SetOf[Node](s, nodesKey).List(ctx)
	for i := range all {
		all[i].Value.Name = all[i].Name
	}
	return all, err
}

// Remove removes a node from a site, so that nobody waits for it any more. node is what was known of it when that was
// decided: if it has registered again since, that registration stands. dead says that it does not run: if that is
// wrong, users may be on two copies of a database. Without it, only a node that has ended properly is removed. The
// error is ErrUnknown, ErrPresent, ErrBack, ErrMayServe or the store's.
func Remove(ctx context.Context, s store.Store, node Node, dead bool) error {
	nodes := store.SetOf[Node](s, nodesKey)
	item, err := nodes.Get(ctx, node.Name)
	if err != nil {
		return err
	}
	_, here := s.Get(ctx, presentKey+node.Name)
	switch {
	case item.Revision == 0:
		err = ErrUnknown
	case here == nil:
		err = ErrPresent
	case item.Value.Boot != node.Boot:
		err = ErrBack
	case !dead && !item.Value.Stopped:
		err = ErrMayServe
	default:
		if err = nodes.Remove(ctx, item); errors.Is(err, store.ErrConflict) {
			err = ErrBack
		}
	}
	if err != nil {
		return fmt.Errorf("node %s: %w", node.Name, err)
	}
	return nil
}

// Expel removes a node that is known to serve nobody, as it was when that was judged: if it has registered again since,
// which a fence that restarts it can bring about, that registration stands. done says whether it was removed.
func Expel(ctx context.Context, s store.Store, node Node) (done bool, err error) {
	nodes := store.SetOf[Node](s, nodesKey)
	item, err := nodes.Get(ctx, node.Name)
	if err == nil && item.Revision != 0 && item.Value.Boot == node.Boot {
		err = nodes.Remove(ctx, item)
		done = err == nil
	}
	if err != nil && !errors.Is(err, store.ErrConflict) {
		return false, fmt.Errorf("node %s: %w", node.Name, err)
	}
	return done, nil
}

// WhileGone is the store with the demand that its writes only happen while no node of a name is registered.
func WhileGone(s store.Store, name string) store.Writer { return s.While(nodesKey+name, 0) }

// NodeState is a node as this one sees it.
type NodeState struct {
	Node
	Present bool
	Since   time.Time // since when it is present, or is not, by this node's clock; not before this node has started
}
