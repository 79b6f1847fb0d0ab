package node

import (
	"fmt"
	"time"

	"portico/configs"
)

// fencing is what recovery does about an absent node.
type fencing struct {
	patience time.Duration
	hook     hook // nil for none
}

// newFencing returns what recovery does about an absent node.
func newFencing(config *configs.Config) (f fencing, err error) {
	if f.hook, err = newHook(config.Cluster.Fence); err != nil {
		err = fmt.Errorf("cluster.fence.%w", err)
	}
	f.patience = config.Cluster.Patience
	return f, err
}
