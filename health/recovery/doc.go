// Package recovery acts where monitors stay unhealthy: the responders of managed availability (EXCHANGE.md 1.4).
// Probes measure, monitors judge, and this stage reads only what monitors say.
//
//	action.go      what responders can do, and what each acts upon
//	case.go        who is at fault, and whether it may be acted upon at all
//	throttle.go    how often
//	record.go      the recovery log, which survives restarts
//	ladder.go      one monitor's way up its steps, and back
//	responders.go  the goroutine that looks at all of them
//	runbook.go     the same steps for an operator: verify, act, look again
//
// The rules are those of DESIGN.md section 5: a mailbox server is acted upon only if it is at fault itself, what many
// have in common is acted upon by nobody, and there is one action at a time. What has been begun is written down
// before it is done, so that a process that is killed leaves behind where it was.
//
// The package must not know how anything is done: that is passed in.
package recovery
