// Package recovery acts where monitors stay unhealthy: the responders of managed availability (docs/exchange.md).
// Probes measure, monitors judge, and this stage reads only what monitors say.
//
//	action.go      the actions, and the kind of target of each
//	case.go        what is at fault, and whether recovery may act on it
//	throttle.go    how often an action may be done
//	record.go      the recovery log, which survives restarts
//	ladder.go      the steps of one monitor: how far they are, and how they are taken back
//	lift.go        how blocks and other steps are taken back
//	rescue.go      when users move to another copy before any restart
//	spare.go       when a blocked server is used after all: it has the only copy
//	persist.go     records and ladders in the store
//	acting.go      which node of a site acts on mailbox servers: one at a time, and no step twice
//	leading.go     which node of a site looks after them, and what stays each node's own
//	owner.go       whose a step is, and what becomes of it if its process has ended
//	outcome.go     how a fault ends, and who was told of it
//	published.go   what others can read: ladders and records
//	byhand.go      actions of operators
//	responders.go  the goroutine that looks at all of them
//	runbook.go     the same steps for an operator: verify, act, look again
//
// The rules are those of docs/health.md. Recovery acts on a mailbox server only if the server itself is at fault. It
// does not act on a common cause. It does one action at a time. It stores an action before it begins, so that after a
// crash the next process knows how far it came.
//
// The package must not know how actions are done: the caller passes them in.
package recovery
