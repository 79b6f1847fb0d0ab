package health

// help says what the probes, checks and monitors look at.
var help = map[string]string{
	ImapSelfTestProbe: "Connects to a mailbox server, signs in as a health mailbox and signs " +
		"out. No mailbox is opened.",
	ImapDeepTestProbe: "Signs in to the server with the database's active copy, opens the " +
		"health mailbox and reads a message. Every tenth run leaves a message and expunges it.",
	ImapCopyTestProbe: "Does the same as ImapDeepTestProbe on a server whose copy is not " +
		"active. The copy's status follows from it.",
	ImapProxyTestProbe: "Signs in to Portico's own listener, through directory and " +
		"verification. No mailbox server is asked.",
	ImapCTPProbe: "Does what a user does: signs in to Portico's own listener, opens the " +
		"health mailbox and reads a message.",
	AverageCommandProcessingTimeGt60sCheck: "Measures the average server time of a mailbox server's commands in the " +
		"last interval, open commands included.",
	RequestsQueuedGt500Check: "Counts the commands of a mailbox server, or of all, that have begun " +
		"and not ended.",
	ProxyConnectionsFailedGt20PercentCheck: "Counts which share of users' sign-ins to a mailbox server fails by the " +
		"server's fault.",
	DatabaseCopyStatusCheck: "Lists the copies of a mailbox server that nothing moves to since a " +
		"failover has left them or their mail could not be read.",
	PorticoResourcesCheck: "Counts the clients that found no descriptor, port or memory left " +
		"in Portico.",
	PorticoStoreCheck: "Writes to the disk of Portico's store, and compares the store's file " +
		"with what Portico wrote last.",

	ImapSelfTestMonitor: "Unhealthy if a mailbox server does not answer or does not take " +
		"a sign-in.",
	ImapDeepTestMonitor: "Unhealthy if a database's mail cannot be read or written where it " +
		"is active.",
	ImapProxyTestMonitor: "Unhealthy if Portico's own listener takes no sign-in.",
	ImapCTPMonitor: "Unhealthy if a user of a database cannot reach the mail " +
		"through Portico.",
	AverageCommandProcessingTimeGt60sMonitor: "Unhealthy if commands of a mailbox server take too long " +
		"(health.average_command_time).",
	RequestsQueuedGt500Monitor: "Unhealthy if too many commands of a mailbox server, or of all, wait " +
		"(health.requests_queued).",
	ProxyConnectionsFailedGt20PercentMonitor: "Unhealthy if too many sign-ins of several users to a mailbox server " +
		"fail by its fault (health.sign_ins).",
	DatabaseCopyStatusMonitor: "Unhealthy while a mailbox server has copies that cannot take over, " +
		"though users are served elsewhere.",
	PorticoResourcesMonitor: "Unhealthy if Portico is out of descriptors, ports or memory.",
	PorticoStoreMonitor: "Unhealthy if Portico's store cannot be written or is damaged: " +
		"changes are refused or would be lost.",
}

// Help says what a probe, a check or a monitor looks at, "" for an unknown name.
func Help(name string) string { return help[name] }
