// Package cluster is the nodes of a site, as the store that they share has them: which are registered, and which are
// present.
//
//	node.go        what the store has of a node
//	member.go      this node as one of them: it registers, and stays registered
//	presence.go    who is present, and since when
//	parts.go       in what the configuration of another node differs
//	leader.go      which of them does what is enough to do once
//
// Registered is whoever may let users in: a node registers before it lets the first one in, and is registered until it
// has ended properly or an operator removes it. What must be safe goes by that alone. Present is whoever has renewed a
// lease lately. That depends on clocks, and a node that is absent may still serve users, so it only decides whether
// somebody waits, who leads, and what people see.
//
// The package does not know what nodes agree on.
package cluster
