// Package proxy is the front end: it accepts a client's connection, signs the user in to the mailbox server that holds
// the mailbox, and hands the two connections to the relay.
//
// A Server owns listeners and sessions. A session is set up by one coroutine, in phases, one file each:
//
//	admission.go     is there room for this connection
//	tls.go           TLS from the first byte, or by STARTTLS
//	greeting.go      the first line
//	conversation.go  the commands before sign-in
//	route.go         which database, on which server
//	signin.go        sign-in to that server
//	handoff.go       the connections leave for the relay
//
// A phase returns an error and does nothing else about it. report.go turns the error into an Outcome, and then logs,
// counts, delays and answers as the table in outcome.go says. Two things happen elsewhere: conclude (session.go) counts
// the outcome that ends a session, and claim (signin.go) and handOff (handoff.go) note a right password, which ends the
// authentication delay.
//
// The package must not know of configuration files, health or administration, nor of what a signed-in session says.
package proxy
