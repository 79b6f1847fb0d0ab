// Package protolog is the protocol log: a row for each command of the sessions that somebody asks for.
//
//	event.go    what happens in a session, in types that cannot hold a secret
//	filter.go   which sessions and commands somebody wants to see
//	rules.go    the rules in force, and the tails (those who watch)
//	ring.go     how events of a loop reach the log
//	setup.go    how events of a session before sign-in do
//	log.go      the goroutine that takes events to the files and the tails
//	row.go      an event as a row of Exchange's fields, CSV or JSON
//	tail.go     somebody who watches rows as they come
//	files.go    the files' names, roll-over and repair
//	writer.go   the goroutine that writes them, also with a slow or failing disk
//	retention.go  deleting and compressing old files
//	search.go   past sessions in the files
//
// Events flow one way, and their makers never wait: an event that finds no room is dropped and counted. If nobody asks
// for a session's events, Match returns nil, and none are made.
//
// The package must not know of connections, loops, configuration files or HTTP.
package protolog
