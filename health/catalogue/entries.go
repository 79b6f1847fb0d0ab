package catalogue

import "time"

// The names of probes, checks and monitors. Exchange has the names with Imap and those of its counters
// (docs/exchange.md); the others are ours.
const (
	ImapSelfTestProbe  = "ImapSelfTestProbe"
	ImapDeepTestProbe  = "ImapDeepTestProbe"
	ImapCopyTestProbe  = "ImapCopyTestProbe"
	ImapProxyTestProbe = "ImapProxyTestProbe"
	ImapCTPProbe       = "ImapCTPProbe"
	ImapCanaryProbe    = "ImapCanaryProbe"

	ImapSelfTestMonitor  = "ImapSelfTestMonitor"
	ImapDeepTestMonitor  = "ImapDeepTestMonitor"
	ImapProxyTestMonitor = "ImapProxyTestMonitor"
	ImapCTPMonitor       = "ImapCTPMonitor"
	ImapCanaryMonitor    = "ImapCanaryMonitor"

	AverageCommandProcessingTimeGt60sCheck   = "AverageCommandProcessingTimeGt60sCheck"
	AverageCommandProcessingTimeGt60sMonitor = "AverageCommandProcessingTimeGt60sMonitor"
	RequestsQueuedGt500Check                 = "RequestsQueuedGt500Check"
	RequestsQueuedGt500Monitor               = "RequestsQueuedGt500Monitor"
	ProxyConnectionsFailedGt20PercentCheck   = "ProxyConnectionsFailedGt20PercentCheck"
	ProxyConnectionsFailedGt20PercentMonitor = "ProxyConnectionsFailedGt20PercentMonitor"
	DatabaseCopyStatusCheck                  = "DatabaseCopyStatusCheck"
	DatabaseCopyStatusMonitor                = "DatabaseCopyStatusMonitor"
	PorticoResourcesCheck                    = "PorticoResourcesCheck"
	PorticoResourcesMonitor                  = "PorticoResourcesMonitor"
	PorticoStoreCheck                        = "PorticoStoreCheck"
	PorticoStoreMonitor                      = "PorticoStoreMonitor"
)

// The timings that no configuration key holds.
var (
	// of counters: five windows in a row (docs/exchange.md)
	counterTiming = Timing{Interval: time.Minute, Timeout: 10 * time.Second, Failures: 5}
	// a fault has to last for longer than a restart; a copy may be out of use for a minute
	lastingTiming = Timing{Interval: 10 * time.Second, Timeout: 5 * time.Second, Failures: 6}
	// of figures of the last hour: they change slowly
	figuresTiming = Timing{Interval: 30 * time.Second, Timeout: 10 * time.Second, Failures: 3}
	// of Portico's own resources: these checks cost next to nothing
	ownTiming = Timing{Interval: 10 * time.Second, Timeout: 5 * time.Second, Failures: 2}
)

var entries = [...]Entry{{
	Set: SetProtocol, Monitor: ImapSelfTestMonitor, Probe: ImapSelfTestProbe, Scope: ScopeServer,
	TimingKey: "self_test", Evidence: FromServer, Rank: 1, Ladder: "self_test",
	ProbeHelp: "Connects to a mailbox server, signs in as a health mailbox and signs out. It opens " +
		"no mailbox.",
	MonitorHelp: "Unhealthy if a mailbox server does not answer or does not accept a sign-in.",
}, {
	Set: SetProtocol, Monitor: ImapDeepTestMonitor, Probe: ImapDeepTestProbe, Scope: ScopeDatabase,
	TimingKey: "deep_test", Evidence: FromServer, Rank: 2, Ladder: "deep_test",
	ProbeHelp: "Signs in to the server with the database's active copy, opens the health mailbox and reads " +
		"a message. Every tenth run stores a message and expunges it.",
	MonitorHelp: "Unhealthy if a database's mail cannot be read or written where it " +
		"is active.",
}, {
	Set: SetProtocol, Probe: ImapCopyTestProbe, Scope: ScopeCopy,
	TimingKey: "deep_test", Slower: 10,
	ProbeHelp: "Does the same as ImapDeepTestProbe on a server whose copy is not active. Its result decides " +
		"the copy's status.",
}, {
	Set: SetProtocol, Monitor: DatabaseCopyStatusMonitor, Probe: DatabaseCopyStatusCheck, Scope: ScopeServer,
	Check: true, Timing: lastingTiming, Evidence: Indirect, Rank: lastRank,
	ProbeHelp: "Lists the copies on a mailbox server that no database moves to, since a failover or " +
		"because their mail could not be read.",
	MonitorHelp: "Unhealthy while a mailbox server has copies that cannot take over, although users " +
		"are served elsewhere.",
}, {
	Set: SetProxy, Monitor: ImapProxyTestMonitor, Probe: ImapProxyTestProbe, Scope: ScopeNode,
	TimingKey: "proxy_test", Evidence: Indirect, Rank: 4, Ladder: "proxy_test", Component: "ImapProxy",
	ProbeHelp: "Signs in to Portico's own listener, through directory and verification. It does not " +
		"contact a mailbox server.",
	MonitorHelp: "Unhealthy if Portico's own listener does not accept a sign-in.",
}, {
	Set: SetIMAP, Monitor: ImapCTPMonitor, Probe: ImapCTPProbe, Scope: ScopeDatabase, Anywhere: true,
	TimingKey: "ctp", Evidence: Indirect, Rank: lastRank, Ladder: "ctp",
	ProbeHelp: "Does what a user does: signs in to Portico's own listener, opens the " +
		"health mailbox and reads a message.",
	MonitorHelp: "Unhealthy if a user of a database cannot reach the mail " +
		"through Portico.",
}, {
	Set: SetIMAP, Monitor: ProxyConnectionsFailedGt20PercentMonitor, Probe: ProxyConnectionsFailedGt20PercentCheck,
	Scope: ScopeServer, Check: true, Timing: lastingTiming, UnhealthyAfter: 15 * time.Second,
	Evidence: FromUsers, Rank: 3, Ladder: "sign_ins",
	ProbeHelp: "Measures the share of users' sign-ins to a mailbox server that fail " +
		"because of the server.",
	MonitorHelp: "Unhealthy if too many sign-ins of several users fail because of a " +
		"mailbox server (health.sign_ins).",
}, {
	Set: SetIMAP, Monitor: AverageCommandProcessingTimeGt60sMonitor, Probe: AverageCommandProcessingTimeGt60sCheck,
	Scope: ScopeServer, Check: true, Timing: counterTiming, MaySleep: true,
	Evidence: Indirect, Rank: lastRank, Ladder: "average_command_time",
	ProbeHelp: "Measures the average server time of a mailbox server's commands in the " +
		"last interval, open commands included.",
	MonitorHelp: "Unhealthy if commands of a mailbox server take too long " +
		"(health.average_command_time).",
}, {
	Set: SetIMAP, Monitor: RequestsQueuedGt500Monitor, Probe: RequestsQueuedGt500Check,
	Scope: ScopeServer, Whole: true, Check: true, Timing: counterTiming, MaySleep: true,
	Evidence: Indirect, Rank: lastRank, Ladder: "requests_queued",
	ProbeHelp: "Counts the commands in progress of one mailbox server, or of all.",
	MonitorHelp: "Unhealthy if too many commands of one mailbox server, or of all, wait " +
		"(health.requests_queued).",
}, {
	Set: SetIMAP, Monitor: ImapCanaryMonitor, Probe: ImapCanaryProbe, Scope: ScopeCanary,
	Timing: figuresTiming, UnhealthyAfter: 15 * time.Second, Evidence: Indirect, Rank: lastRank, Ladder: "canary",
	ProbeHelp: "Compares how users are served by a canary and by the other servers of its database, over all " +
		"nodes. It runs for canaries with limits (--stop-if).",
	MonitorHelp: "Unhealthy if a canary serves users worse than its limits allow.",
}, {
	Set: SetPortico, Monitor: PorticoResourcesMonitor, Probe: PorticoResourcesCheck, Scope: ScopeNode,
	Check: true, Timing: ownTiming, Evidence: Indirect, Rank: lastRank,
	ProbeHelp: "Counts the connections and sign-ins that failed because Portico had no descriptor, port " +
		"or memory left.",
	MonitorHelp: "Unhealthy if Portico is out of descriptors, ports or memory.",
}, {
	Set: SetPortico, Monitor: PorticoStoreMonitor, Probe: PorticoStoreCheck, Scope: ScopeNode,
	Check: true, Timing: ownTiming, Evidence: Indirect, Rank: lastRank,
	ProbeHelp: "Writes to the disk of Portico's store, compares the store's file " +
		"with what Portico wrote last, and looks whether etcd is followed.",
	MonitorHelp: "Unhealthy if Portico's store cannot be written or is damaged, or etcd is away: changes are " +
		"refused or may be lost.",
}}
