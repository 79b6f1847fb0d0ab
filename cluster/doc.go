// Package cluster knows the nodes of a site by the store that they share: which are registered, and which are present.
//
//	node.go        what the store has of a node
//	member.go      this node as one of them: it registers, and stays registered
//	presence.go    who is present, and since when
//	parts.go       in what the configuration of another node differs
//	election.go    which of them does what one node has to do for all
//
// A node that may let users in is registered: it registers before it lets the first one in, and stays registered until
// it has ended properly or an operator removes it. What must be safe depends on that alone. A node is present if it has
// renewed its lease in etcd lately. That depends on clocks, and a node that is absent may still serve users. So
// presence only decides whether somebody waits, who leads, and what people see.
//
// The package does not know what nodes agree on.
package cluster
