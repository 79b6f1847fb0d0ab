package recovery

import "portico/health/catalogue"

// Runbook lists what an operator, or a program in an operator's place, does about an unhealthy monitor: check that the
// fault still exists, act, check again.
type Runbook struct {
	Name    string // selftest, deep ...
	Monitor string // that is unhealthy
	Set     string // its health set
	Probe   string // that is run to see; "" if the monitor's state is all there is to see
	Of      string // what it is for: "server", "database", or "" for this front end
	Steps   []Step
}

// Step is a step of a runbook.
type Step struct {
	Do Action // "" if nothing is done
	// SeeTo says to look at the monitors of the mailbox server first: if they are unhealthy, another runbook comes
	// before this one.
	SeeTo bool
	Wait  bool // before it is looked again
	Text  string
}

// Runbooks lists all runbooks.
var Runbooks = []Runbook{
	bookOf("selftest", catalogue.ImapSelfTestMonitor, ofServer),
	bookOf("deep", catalogue.ImapDeepTestMonitor, ofServer),
	bookOf("proxy", catalogue.ImapProxyTestMonitor, []Step{
		{Do: RestartFrontEnd, Text: "Restart this node's front end"},
		{Do: OutOfService, Text: "Take this node out of service, and restart its front end once more"},
		{Do: RestartFrontEnd, Text: "Restart this node's front end"},
	}),
	bookOf("ctp", catalogue.ImapCTPMonitor, []Step{
		{Do: RestartService, Text: "Restart the IMAP service on the mailbox server"},
		{Do: ProtocolLog,
			Text: "Switch on the protocol log for the health mailbox, and check again: its rows show more"},
		{SeeTo: true, Text: "Check the monitors of the mailbox server"},
		{Do: RestartFrontEnd, Text: "Restart this node's front end"},
		{Wait: true, Text: "Wait, and check again"},
	}),
	bookOf("queue", catalogue.RequestsQueuedGt500Monitor, ofCommands),
	bookOf("average", catalogue.AverageCommandProcessingTimeGt60sMonitor, ofCommands),
}

// bookOf is the runbook of a monitor, as the catalogue describes that.
func bookOf(name, monitor string, steps []Step) Runbook {
	e := catalogue.Of(monitor)
	book := Runbook{Name: name, Monitor: monitor, Set: e.Set, Steps: steps}
	if !e.Check {
		book.Probe = e.Probe
	}
	if e.Scope != catalogue.ScopeNode {
		book.Of = e.Scope.String()
	}
	return book
}

// ofCommands is for commands of a mailbox server that wait, or take long.
var ofCommands = []Step{
	{SeeTo: true, Text: "Check the monitors of the mailbox server"},
	{Do: RestartService, Wait: true, Text: "Restart the IMAP service on the mailbox server"},
	{Do: Failover, Wait: true,
		Text: "Move the databases that are active there to other copies, and block activation there"},
	{Do: RestartServer, Wait: true, Text: "Restart the mailbox server"},
	{Do: RestartFrontEnd, Wait: true, Text: "Restart this node's front end"},
}

// ofServer is for what fails at a mailbox server.
var ofServer = []Step{
	{Do: RestartService, Text: "Restart the IMAP service on the mailbox server"},
	{Do: Failover, Text: "Move the databases that are active there to other copies, and block activation there"},
	{Do: RestartServer, Text: "Restart the mailbox server"},
}
