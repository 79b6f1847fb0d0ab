package health

// help says what the probes, checks and monitors look at.
var help = map[string]string{
	ImapSelfTestProbe: "Connects to a mailbox server, signs in as a health mailbox and signs out. It opens " +
		"no mailbox.",
	ImapDeepTestProbe: "Signs in to the server with the database's active copy, opens the health mailbox and reads " +
		"a message. Every tenth run stores a message and expunges it.",
	ImapCopyTestProbe: "Does the same as ImapDeepTestProbe on a server whose copy is not active. Its result decides " +
		"the copy's status.",
	ImapProxyTestProbe: "Signs in to Portico's own listener, through directory and verification. It does not " +
		"contact a mailbox server.",
	ImapCTPProbe: "Does what a user does: signs in to Portico's own listener, opens the " +
		"health mailbox and reads a message.",
	AverageCommandProcessingTimeGt60sCheck: "Measures the average server time of a mailbox server's commands in the " +
		"last interval, open commands included.",
	RequestsQueuedGt500Check: "Counts the commands in progress of one mailbox server, or of all.",
	ProxyConnectionsFailedGt20PercentCheck: "Measures the share of users' sign-ins to a mailbox server that fail " +
		"because of the server.",
	DatabaseCopyStatusCheck: "Lists the copies on a mailbox server that no database moves to, since a failover or " +
		"because their mail could not be read.",
	PorticoResourcesCheck: "Counts the connections and sign-ins that failed because Portico had no descriptor, port " +
		"or memory left.",
	PorticoStoreCheck: "Writes to the disk of Portico's store, and compares the store's file " +
		"with what Portico wrote last.",

	ImapSelfTestMonitor: "Unhealthy if a mailbox server does not answer or does not accept a sign-in.",
	ImapDeepTestMonitor: "Unhealthy if a database's mail cannot be read or written where it " +
		"is active.",
	ImapProxyTestMonitor: "Unhealthy if Portico's own listener does not accept a sign-in.",
	ImapCTPMonitor: "Unhealthy if a user of a database cannot reach the mail " +
		"through Portico.",
	AverageCommandProcessingTimeGt60sMonitor: "Unhealthy if commands of a mailbox server take too long " +
		"(health.average_command_time).",
	RequestsQueuedGt500Monitor: "Unhealthy if too many commands of one mailbox server, or of all, wait " +
		"(health.requests_queued).",
	ProxyConnectionsFailedGt20PercentMonitor: "Unhealthy if too many sign-ins of several users fail because of a " +
		"mailbox server (health.sign_ins).",
	DatabaseCopyStatusMonitor: "Unhealthy while a mailbox server has copies that cannot take over, although users " +
		"are served elsewhere.",
	PorticoResourcesMonitor: "Unhealthy if Portico is out of descriptors, ports or memory.",
	PorticoStoreMonitor: "Unhealthy if Portico's store cannot be written or is damaged: changes are refused or " +
		"may be lost.",
}

// Help says what a probe, a check or a monitor looks at, "" for an unknown name.
func Help(name string) string { return help[name] }
