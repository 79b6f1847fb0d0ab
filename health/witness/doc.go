// Package witness has the nodes of a site share what their probes find, so that not each node has to ask each mailbox
// server, and none believes its own network alone.
//
//	lookers.go   which nodes look at a target
//	seen.go      what the store has of what a node sees
//	witness.go   writes what this node sees, and reads what the others do
//	verdict.go   what most of those that look at a target see
//
// It takes who is present from the caller. Nothing that must be safe depends on it: it decides who looks, what people
// see, and whether recovery believes what one node sees.
package witness
