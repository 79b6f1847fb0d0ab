// Package health is managed availability: it finds out whether users can reach their mail, and says what is at fault.
//
//	result.go      what a run of a probe has found, and the history of a probe's results
//	dependency.go  which of the things that a sign-in needs an error blames
//	probe.go       a probe: what it runs, how often, and what becomes of one that panics
//	monitor.go     a monitor: how it judges a probe's results, its state and transitions
//	catalogue/     all probes and monitors: what each looks at, and what its failures prove
//	set.go         health sets: the worst monitor wins; reports
//	common.go      which mailbox server a monitor looks at, and when several have a cause in common
//	plan.go        the plan: a probe and a monitor for each entry of the catalogue and each target
//	engine.go      what runs the plan and looks at monitors
//	schedule.go    when a probe runs
//	run.go         a run of a probe, by its goroutine or by hand
//	states.go      what is known of monitors and probes
//	probeconn.go   a probe's connection: deadline, steps, last lines
//	backprobes.go  ImapSelfTestProbe and ImapDeepTestProbe
//	evidence.go    whether a mailbox server works or fails
//	blame.go       what a failed sign-in blames, where the error does not say
//	mailboxwriter.go when ImapDeepTestProbe writes a message
//	frontprobes.go ImapCTPProbe and ImapProxyTestProbe
//	connectivity.go Test-ImapConnectivity, by hand and against any IMAP server
//	counters.go    the checks of the numbers that the relay keeps
//	copies.go      the check of the copies that recovery has left
//	canary.go      the comparison of a canary with the other servers
//	signins.go     the check of users' sign-ins
//	shortage.go    the checks of Portico's own resources and store
//	flapping.go    when a monitor flaps
//	concerns.go    which mailbox servers a monitor or probe concerns
//	metrics.go     the metrics of probes and monitors
//	escalate.go    when an alert is opened, sent again and closed
//	cause.go       the cause of a fault: one alert for each
//	fault.go       what a monitor says is wrong, and which faults are minor
//	openalerts.go  the open alerts as the store keeps them
//	alert.go       the content of an alert
//	sender.go      the queue of alerts for each sink
//	sinks.go       the sinks: Alertmanager, mail
//	override.go    what an override does to a plan
//
// What operators set is kept in the store by packages of their own, each of which follows what other writers store:
// overrides, components, repairing and maintenance.
//
// As in Exchange, each stage reads only the stored results of the one before: probes measure, monitors judge. Names
// and values are Exchange's (docs/exchange.md).
//
// The package must not know of HTTP, nor of the proxy's inside: what it looks at is passed in.
package health
