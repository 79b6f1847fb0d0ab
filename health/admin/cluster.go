package admin

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// The paths of the site's nodes.
const (
	PathCluster    = prefix + "cluster"
	PathRemoveNode = prefix + "cluster/nodes/{name}/remove"
)

// Cluster is the nodes of this node's site.
type Cluster interface {
	// Cluster returns the site as this node sees it.
	Cluster(ctx context.Context) (ClusterState, error)
	// RemoveNode removes a node, so that nobody waits for it any more, and returns it as it was.
	RemoveNode(ctx context.Context, name string, r RemoveNodeRequest) (ClusterNode, error)
}

// ClusterState is a site as one node sees it.
type ClusterState struct {
	Node   string        `json:"node"`             // this one
	Leader string        `json:"leader,omitempty"` // the node that acts on failures; none if nobody is elected
	Etcd   *EtcdState    `json:"etcd,omitempty"`   // nothing if the node is in no cluster
	Nodes  []ClusterNode `json:"nodes"`            // sorted by name; the node alone if it is in no cluster
}

// EtcdState is how this node stands to etcd.
type EtcdState struct {
	Endpoints []string  `json:"endpoints"`
	Prefix    string    `json:"prefix"`
	Follows   bool      `json:"follows"`         // what the site agrees on is known here and can change
	Since     time.Time `json:"since"`           // since when that is so, or is not
	Error     string    `json:"error,omitempty"` // why not
}

// States of a node.
const (
	NodePresent = "present"
	NodeAbsent  = "absent"  // it may still serve users: moves that operators order are refused
	NodeStopped = "stopped" // it has ended properly
)

// ClusterNode is a node of the site.
type ClusterNode struct {
	Name    string    `json:"name"`
	State   string    `json:"state" enum:"present,absent,stopped"`
	Since   time.Time `json:"since"`             // of the state; not before the node that answers has started
	Started time.Time `json:"started,omitzero"`  // when it has registered, by its own clock
	Boot    string    `json:"boot,omitempty"`    // of its registration: random
	Address string    `json:"address,omitempty"` // of its API, for other nodes
	Version string    `json:"version,omitempty"`
	// Differs are the parts of its configuration that all nodes need to have the same, and that are not as on the node
	// that answers.
	Differs []string `json:"differs,omitempty"`
}

// RemoveNodeRequest asks for the removal of a node.
type RemoveNodeRequest struct {
	// Dead says that the node does not run though it has not ended properly. If that is wrong, users may be on two
	// copies of a database.
	Dead bool `json:"dead,omitempty"`
	// Boot is that of the registration that is to be removed: one that the node has made since then stays. None is the
	// present one.
	Boot string `json:"boot,omitempty"`
}

// clusterRoutes adds the site's nodes to the API.
func clusterRoutes(api huma.API, c Cluster) {
	get(api, "get-cluster", PathCluster, "Show the nodes of the site, and how this one stands to etcd",
		func(ctx context.Context, _ *None) (ClusterState, error) { return c.Cluster(ctx) })
	change(api, "remove-node", PathRemoveNode, "Remove a node from the site, so that no move waits for it any more",
		func(ctx context.Context, name string, r RemoveNodeRequest) (ClusterNode, error) {
			was, err := c.RemoveNode(ctx, name, r)
			if err == nil {
				Changed(ctx, Difference{"node " + name, was.State, "removed"})
			}
			return was, err
		})
}
