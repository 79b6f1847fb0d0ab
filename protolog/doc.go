// Package protolog is the protocol log: what users' sessions do, a row for each command, for as long as somebody asks
// for it.
//
//	event.go    what happens in a session, in types that cannot hold a secret
//	filter.go   which sessions and commands somebody wants to see
//	rules.go    what is in force: rules, and those who watch
//	ring.go     the way of events from the loop that they happen in
//	setup.go    their way from a session that may not be known yet
//	log.go      the goroutine that takes them from there to files and watchers
//	row.go      an event as a row of Exchange's fields, CSV or JSON
//	tail.go     those who watch
//	files.go    the files' names, roll-over and repair
//	writer.go   the goroutine that writes them, whatever the disk does
//	retention.go  deleting and compressing old files
//	search.go   past sessions in the files
//
// Events flow one way, and nobody who makes one ever waits: what finds no room is dropped and counted. Where nothing
// is asked for, Match answers nil, and nothing is made.
//
// The package must not know of connections, loops, configuration files or HTTP.
package protolog
