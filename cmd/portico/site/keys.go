package site

import (
	"portico/cluster/seal"
	"portico/configs/store"
)

// own are the beginnings of the keys that a node keeps in data_dir for itself, in a site or not.
var own = []string{"health/components/", "health/flapping", "offer/", markerKey}

// between are the beginnings of the keys that only a site of several nodes has: about the nodes, and for as long as
// they run.
var between = append([]string{metaKey, seal.CheckKey, "health/recovery/acting", "leader", "nodes/", "pause/",
	"penalties.seed", "tickets"}, Passing...)

// history are the beginnings of shared keys that say what has happened, and change nothing that a node does for users.
// They differ between nodes that ran alone, so they prevent nobody from joining.
var history = []string{"health/alerts", "health/recovery/"}

// shared reports whether an entry is a site's: of data_dir while a node is alone, of etcd while it is in a site.
func shared(key string) bool { return !store.Under(key, own) && !store.Under(key, between) }

// Passing are the beginnings of keys in etcd that are of no use to a start while etcd is away.
var Passing = append([]string{"present/"}, byNode...)

// laddersKey is the beginning of the keys of recovery's ladders. The name of a node and a colon follow in those of its
// own front end.
const laddersKey = "health/recovery/ladders/"

// byNode are the beginnings of keys that end with the name of a node, which tells the others something there while it
// runs.
var byNode = []string{"health/seen/", "heavy/", "parts/"}
