package recovery

import "portico/health"

// Runbook is a section of the seed's guide, for an operator, or the machine in an operator's place: is it still so,
// act, look again.
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

// Runbooks are the seed's.
var Runbooks = []Runbook{
	{Name: "selftest", Monitor: health.ImapSelfTestMonitor, Set: health.SetProtocol, Probe: health.ImapSelfTestProbe,
		Of: "server", Steps: ofServer},
	{Name: "deep", Monitor: health.ImapDeepTestMonitor, Set: health.SetProtocol, Probe: health.ImapDeepTestProbe,
		Of: "database", Steps: ofServer},
	{Name: "proxy", Monitor: health.ImapProxyTestMonitor, Set: health.SetProxy, Probe: health.ImapProxyTestProbe,
		Steps: []Step{
			{Do: RestartFrontEnd, Text: "Restart this node's listeners and sign-in"},
			{Do: OutOfService, Text: "Take this node out of service, and restart its listeners and sign-in once more"},
			{Do: RestartFrontEnd, Text: "Restart this node's listeners and sign-in"},
		}},
	{Name: "ctp", Monitor: health.ImapCTPMonitor, Set: health.SetIMAP, Probe: health.ImapCTPProbe, Of: "database",
		Steps: []Step{
			{Do: RestartService, Text: "Restart the IMAP service on the mailbox server"},
			{Do: ProtocolLog,
				Text: "Switch on the protocol log for the health mailbox, and check again: its rows show more"},
			{SeeTo: true, Text: "Check the monitors of the mailbox server"},
			{Do: RestartFrontEnd, Text: "Restart this node's listeners and sign-in"},
			{Wait: true, Text: "Wait, and check again"},
		}},
	{Name: "queue", Monitor: health.RequestsQueuedGt500Monitor, Set: health.SetIMAP, Of: "server", Steps: ofCommands},
	{Name: "average", Monitor: health.AverageCommandProcessingTimeGt60sMonitor, Set: health.SetIMAP, Of: "server",
		Steps: ofCommands},
}

// ofCommands is for commands of a mailbox server that wait, or take long.
var ofCommands = []Step{
	{SeeTo: true, Text: "Check the monitors of the mailbox server"},
	{Do: RestartService, Wait: true, Text: "Restart the IMAP service on the mailbox server"},
	{Do: Failover, Wait: true,
		Text: "Move the databases that are active there to other copies, and block activation there"},
	{Do: RestartServer, Wait: true, Text: "Restart the mailbox server"},
	{Do: RestartFrontEnd, Wait: true, Text: "Restart this node's listeners and sign-in"},
}

// ofServer is for what fails at a mailbox server.
var ofServer = []Step{
	{Do: RestartService, Text: "Restart the IMAP service on the mailbox server"},
	{Do: Failover, Text: "Move the databases that are active there to other copies, and block activation there"},
	{Do: RestartServer, Text: "Restart the mailbox server"},
}
