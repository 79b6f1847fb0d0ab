// Package recovery acts where monitors stay unhealthy: the responders of managed availability (docs/exchange.md).
// Probes measure, monitors judge, and this stage reads only what monitors say.
//
//	action.go      what responders can do, and what each acts upon
//	case.go        who is at fault, and whether it may be acted upon at all
//	throttle.go    how often
//	record.go      the recovery log, which survives restarts
//	ladder.go      the steps of one monitor: how far they are, and how they are taken back
//	lift.go        how blocks and other steps are taken back
//	rescue.go      when users move to another copy before any restart
//	spare.go       when a blocked server is used after all: it has the only copy
//	persist.go     records and ladders in the store
//	published.go   what others can read: ladders and records
//	byhand.go      actions of operators
//	responders.go  the goroutine that looks at all of them
//	runbook.go     the same steps for an operator: verify, act, look again
//
// The rules are those of docs/health.md: a mailbox server is acted upon only if it is at fault itself, what many
// have in common is acted upon by nobody, and there is one action at a time. What has been begun is written down
// before it is done, so that a process that is killed leaves behind where it was.
//
// The package must not know how anything is done: that is passed in.
package recovery
