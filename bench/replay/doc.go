// Package replay holds what sessions did: made from a protocol log, kept in a file, and played by package bench.
//
//	step.go       one command, as far as it is played
//	recording.go  the recording in memory, and what is known of it
//	read.go       the file, with its checks
//	write.go      the same, the other way
//	collect.go    rows of a protocol log, gathered by session
//	sample.go     which sessions are kept if there are too many
//	command.go    a row's command as a step
//	compose.go    the recording that is made of them
//	mix.go        its commands without their times
//
// A recording holds no names, addresses, mailboxes or search words: users are numbers, and a step is a word of this
// package with two numbers. The package knows no connections.
package replay
