package node

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"portico/backend"
	"portico/configs"
	"portico/health/admin"
	"portico/proxy"
)

// configuration holds the configuration in force, and the lock that serializes changes.
type configuration struct {
	path    string                  // of the file
	started *configs.Config         // as at the start: what only a restart changes
	inForce atomic.Pointer[inForce] // nil before the start
	retired atomic.Bool             // another process has taken over

	changing sync.Mutex // one change at a time, of inForce or of what operators set
	over     error      // why nothing changes here any more; guarded by changing
}

// current returns the configuration in force. It is nil before the start.
func (c *configuration) current() *inForce { return c.inForce.Load() }

// node is this node's name.
func (c *configuration) node() string { return nameOfNode(c.started) }

// change waits until no other change is in progress, and returns a function that ends this one. It returns an error if
// ctx ends first, so that nothing changes for a caller who has given up.
func (c *configuration) change(ctx context.Context) (done func(), err error) {
	c.changing.Lock()
	if c.over != nil {
		defer c.changing.Unlock()
		return nil, c.over
	}
	if ctx.Err() != nil {
		c.changing.Unlock()
		return nil, fmt.Errorf("nothing has changed, because another change was in progress: %w", context.Cause(ctx))
	}
	return c.changing.Unlock, nil
}

// stop waits until no change is in progress, and lets none begin any more.
func (c *configuration) stop(why error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	if c.over == nil {
		c.over = why
	}
}

// untilStarted waits until the node has started, and no other change is in progress.
func (c *configuration) untilStarted(ctx context.Context) error {
	done, err := c.change(ctx)
	if err == nil {
		done()
	}
	return err
}

// inForce is the configuration in force at one time, and what was made from it. It does not change: apply replaces it
// as a whole, so its parts always belong together.
type inForce struct {
	fromFile *configs.Config         // as the file was read
	config   *configs.Config         // the same, with the stored settings over it
	access   admin.Access            // to the API
	nodes    map[string]http.Handler // the ways to other nodes, by name
	front    *front
}

// settings returns the settings of clients' sessions.
func (f *inForce) settings() proxy.Settings { return f.front.settings(f.config) }

// tier is the way to the mailbox servers.
func (f *inForce) tier() *backend.Tier { return f.front.tier }

// known returns an error if there is no mailbox server of a name.
func (f *inForce) known(server string) error {
	if slices.Contains(f.tier().Servers(), server) {
		return nil
	}
	return admin.NoSuch("mailbox server", server, f.tier().Servers())
}
