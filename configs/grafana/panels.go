package grafana

import "strings"

// row is a heading of the dashboard, with the panels below it.
type row struct {
	title  string
	panels []panel
}

// panel shows the results of queries.
type panel struct {
	shape   shape
	title   string
	unit    string  // Grafana's name of it; "" for a number of things
	bad     float64 // of a number: red from here on; 0 for never
	good    float64 // of a number: green from here on, and red below
	help    string  // one that is empty on a healthy site says so: "Empty until ..."
	queries []query
}

type shape uint8

const (
	lines  shape = iota // over time
	number              // the latest value, large
	table               // the latest values, one a line
)

// query is in PromQL. NODE and SERVER stand for the selectors of the dashboard's variables, and RATE for the time over
// which Grafana wants a rate.
type query struct{ expr, legend string }

var selectors = strings.NewReplacer("NODE", `instance=~"$node"`, "SERVER", `instance=~"$node",server=~"$server"`,
	"RATE", "$__rate_interval")

// A Prometheus has either the classic histograms or the native ones of a node. So queries of histograms ask for both;
// if it has both, the first answer counts.

// quantile is the q-quantile of a histogram, for each value of the label by, or in all.
func quantile(q, by, histogram, selector string) string {
	le := "le"
	if by != "" {
		le += ", " + by
	}
	return strings.NewReplacer("Q", q, "LE", le, "BY", by, "HISTOGRAM", histogram, "SELECTOR", selector).Replace(
		"histogram_quantile(Q, sum by (LE) (rate(HISTOGRAM_bucket{SELECTOR}[RATE])))" +
			" or histogram_quantile(Q, sum by (BY) (rate(HISTOGRAM{SELECTOR}[RATE])))")
}

// average is the average of a histogram's values, for each value of the label by.
func average(by, histogram, selector string) string {
	return strings.NewReplacer("BY", by, "HISTOGRAM", histogram, "SELECTOR", selector).Replace(
		"sum by (BY) (rate(HISTOGRAM_sum{SELECTOR}[RATE])) / sum by (BY) (rate(HISTOGRAM_count{SELECTOR}[RATE]))" +
			" or histogram_sum(sum by (BY) (rate(HISTOGRAM{SELECTOR}[RATE])))" +
			" / histogram_count(sum by (BY) (rate(HISTOGRAM{SELECTOR}[RATE])))")
}

const (
	serverTime = "portico_command_duration_seconds"
	signInTime = "portico_signin_duration_seconds"
)

// rows is the dashboard. The first row is the answer to "is all well?", and the others to "what is not?".
var rows = []row{{"Overview", []panel{
	{shape: number, title: "Nodes", queries: []query{{"count(portico_build_info{NODE})", ""}}},
	{shape: number, title: "Signed-in sessions", queries: []query{
		{`sum(portico_sessions{NODE,state="relayed"})`, ""}}},
	{shape: number, title: "Sign-ins", unit: "cps", queries: []query{
		{`sum(rate(portico_connections_total{NODE,result="signed_in"}[RATE]))`, ""}}},
	{shape: number, title: "Commands", unit: "cps", queries: []query{
		{"sum(rate(portico_command_results_total{SERVER}[RATE]))", ""}}},
	{shape: number, title: "Server time, p99", unit: "s", bad: 10, help: "Of 100 commands, 99 take less.",
		queries: []query{{quantile("0.99", "", serverTime, "SERVER"), ""}}},
	{shape: number, title: "Failing monitors", bad: 1, queries: []query{
		{"sum(portico_monitor_state{NODE} >= bool 1)", ""}}},
	{shape: number, title: "Open circuit breakers", bad: 1, queries: []query{
		{"sum(portico_server_breaker_open{SERVER})", ""}}},
	{shape: number, title: "Suspended databases", bad: 1, queries: []query{
		{"max(portico_databases_suspended{NODE})", ""}}},
}}, {"Nodes", []panel{
	{title: "Client connections", queries: []query{
		{"sum by (instance, state) (portico_sessions{NODE})", "{{instance}} {{state}}"}}},
	{title: "New connections by result", unit: "cps", queries: []query{
		{"sum by (result) (rate(portico_connections_total{NODE}[RATE])) > 0", "{{result}}"}}},
	{title: "Ended sessions by reason", unit: "cps", queries: []query{
		{"sum by (reason) (rate(portico_sessions_ended_total{NODE}[RATE])) > 0", "{{reason}}"}}},
	{title: "Relayed bytes by sender", unit: "Bps", queries: []query{
		{"sum by (instance, direction) (rate(portico_relay_bytes_total{NODE}[RATE]))",
			"{{instance}} {{direction}}"}}},
	{title: "CPU", unit: "percentunit", help: "100 % is one CPU.", queries: []query{
		{"rate(process_cpu_seconds_total{NODE}[RATE])", "{{instance}}"}}},
	{title: "Memory", unit: "bytes", queries: []query{
		{"process_resident_memory_bytes{NODE}", "{{instance}}"}}},
	{title: "Descriptors in use", unit: "percentunit", queries: []query{
		{"process_open_fds{NODE} / process_max_fds{NODE}", "{{instance}}"}}},
	{title: "Wake-up delay of event loops, p99", unit: "s",
		help: "Above 100 ms for long, the machine is short of CPU.", queries: []query{
			{quantile("0.99", "instance", "portico_loop_wakeup_delay_seconds", "NODE"), "{{instance}}"}}},
	{title: "Shortages and panics", unit: "cps", queries: []query{
		{"sum by (instance) (rate(portico_shortages_total{NODE}[RATE]))", "{{instance}} shortages"},
		{"sum by (instance) (rate(portico_accept_errors_total{NODE}[RATE]))", "{{instance}} accept errors"},
		{"sum by (instance) (rate(portico_relay_panics_total{NODE}[RATE]))", "{{instance}} panics in the relay"},
		{"sum by (instance) (rate(portico_setup_panics_total{NODE}[RATE]))", "{{instance}} panics before sign-in"}}},
	{shape: table, title: "Versions", queries: []query{
		{"sum by (instance, version, revision, goversion) (portico_build_info{NODE})", ""}}},
	{shape: number, title: "First certificate expires in", unit: "s", good: 14 * 86400, queries: []query{
		{"min(portico_certificate_expiry_timestamp_seconds{NODE}) - time()", ""}}},
	{shape: number, title: "Bad certificate files", bad: 1, queries: []query{
		{"sum(portico_certificates_failing{NODE})", ""}}},
	{shape: number, title: "Failed reloads", bad: 1, help: "Nodes whose configuration file was refused or withdrawn.",
		queries: []query{{"sum(portico_config_last_reload_successful{NODE} == bool 0)", ""}}},
	{shape: number, title: "Faults of the store", bad: 1, queries: []query{
		{"sum(portico_store_failing{NODE}) + sum(portico_store_damaged{NODE})", ""}}},
	{shape: number, title: "Oldest backup of the store", unit: "s", bad: 3 * 86400, queries: []query{
		{"time() - min(portico_store_last_backup_timestamp_seconds{NODE})", ""}}},
	{shape: number, title: "Event loops with io_uring", queries: []query{
		{"sum(portico_loops_io_uring{NODE})", ""}}},
}}, {"Mailbox servers", []panel{
	{title: "Sessions", queries: []query{{"sum by (server) (portico_server_sessions{SERVER})", "{{server}}"}}},
	{title: "Commands", unit: "cps", queries: []query{
		{"sum by (server) (rate(portico_command_results_total{SERVER}[RATE]))", "{{server}}"}}},
	{title: "Commands in progress", queries: []query{
		{"sum by (server) (portico_requests_queued{SERVER})", "{{server}}"}}},
	{title: "Server time, average", unit: "s", queries: []query{
		{average("server", serverTime, "SERVER"), "{{server}}"}}},
	{title: "Server time, p99", unit: "s", queries: []query{
		{quantile("0.99", "server", serverTime, "SERVER"), "{{server}}"}}},
	{title: "Commands that failed", unit: "cps", queries: []query{
		{`sum by (server, result) (rate(portico_command_results_total{SERVER,result!="ok"}[RATE]))`,
			"{{server}} {{result}}"}}},
	{title: "Bytes by sender", unit: "Bps", queries: []query{
		{"sum by (server, direction) (rate(portico_relay_bytes_total{SERVER}[RATE]))", "{{server}} {{direction}}"}}},
	{title: "Kept from sign-ins", help: "Circuit breakers: 1 is open. Sign-ins wait for a server that is paused.",
		queries: []query{
			{"max by (server) (portico_server_breaker_open{SERVER})", "{{server}} breaker"},
			{"sum by (server) (portico_server_signins_held{SERVER})", "{{server}} sign-ins held"}}},
	{title: "Out of the ordinary", unit: "cps", queries: []query{
		{"sum by (server) (rate(portico_sessions_throttled_total{SERVER}[RATE]))", "{{server}} clients throttled"},
		{"sum by (server) (rate(portico_commands_intercepted_total{SERVER}[RATE]))", "{{server}} commands intercepted"},
		{"sum by (server) (rate(portico_capability_lists_too_long_total{SERVER}[RATE]))", "{{server}} lists too long"},
		{"sum by (server) (portico_sessions_unjudged{SERVER})", "{{server}} sessions without judgement"}}},
}}, {"Commands", []panel{
	{title: "Commands", unit: "cps", queries: []query{
		{"sum by (command) (rate(portico_command_results_total{SERVER}[RATE]))", "{{command}}"}}},
	{title: "Server time, p50", unit: "s", queries: []query{
		{quantile("0.5", "command", serverTime, "SERVER"), "{{command}}"}}},
	{title: "Server time, p99", unit: "s", queries: []query{
		{quantile("0.99", "command", serverTime, "SERVER"), "{{command}}"}}},
	{title: "Server time, average", unit: "s", queries: []query{
		{average("command", serverTime, "SERVER"), "{{command}}"}}},
	{title: "Commands that failed", unit: "cps", queries: []query{
		{`sum by (command, result) (rate(portico_command_results_total{SERVER,result!="ok"}[RATE]))`,
			"{{command}} {{result}}"}}},
	{title: "Seconds of server time per second", queries: []query{
		{"sum by (command) (rate(" + serverTime + "_sum{SERVER}[RATE]))" +
			" or histogram_sum(sum by (command) (rate(" + serverTime + "{SERVER}[RATE])))", "{{command}}"}},
		help: "How many commands are in progress on average: what keeps the servers busy."},
}}, {"Sign-ins", []panel{
	{title: "Sign-ins by answer", unit: "cps", queries: []query{
		{`sum by (result) (rate(portico_command_results_total{NODE,command=~"LOGIN|AUTHENTICATE"}[RATE]))`,
			"{{result}}"}}},
	{title: "Refusals by reason", unit: "cps", help: "Those that leave the connection open.", queries: []query{
		{"sum by (result) (rate(portico_signin_refusals_total{NODE}[RATE])) > 0", "{{result}}"}}},
	{title: "Share of sign-ins refused", unit: "percentunit", queries: []query{
		{`sum by (instance) (rate(portico_command_results_total{NODE,command=~"LOGIN|AUTHENTICATE",` +
			`result=~"no|bad"}[RATE])) / ` +
			`sum by (instance) (rate(portico_command_results_total{NODE,command=~"LOGIN|AUTHENTICATE"}[RATE]))`,
			"{{instance}}"}}},
	{title: "Duration of phases, p50", unit: "s", queries: []query{
		{quantile("0.5", "phase", signInTime, "NODE"), "{{phase}}"}}},
	{title: "Duration of phases, p99", unit: "s", queries: []query{
		{quantile("0.99", "phase", signInTime, "NODE"), "{{phase}}"}}},
	{title: "Delays for wrong passwords", queries: []query{
		{"sum by (instance) (rate(portico_signin_penalty_seconds_total{NODE}[RATE]))",
			"{{instance}} seconds of delay per second"},
		{"sum by (instance) (rate(portico_signin_guesses_delayed_total{NODE}[RATE]))",
			"{{instance}} guesses delayed per second"}}},
}}, {"Health", []panel{
	{shape: table, title: "Failing monitors", help: "Empty until a monitor fails. 1 is Degraded, 2 Unhealthy, " +
		"3 Unavailable.", queries: []query{
		{"max by (health_set, monitor, target, instance) (portico_monitor_state{NODE}) >= 1", ""}}},
	{title: "Failing monitors by health set", queries: []query{
		{"sum by (health_set) (portico_monitor_state{NODE} >= bool 1)", "{{health_set}}"}}},
	{title: "Duration of probes", unit: "s", help: "Of the latest run, for the slowest target.", queries: []query{
		{"max by (probe) (portico_probe_duration_seconds{NODE})", "{{probe}}"}}},
	{title: "Inactive components", queries: []query{
		{"sum by (component) (portico_component_active{NODE} == bool 0)", "{{component}}"}}},
	{title: "Databases out of use", queries: []query{
		{"max by (instance) (portico_databases_suspended{NODE})", "{{instance}} suspended"},
		{"max by (instance) (portico_database_copies_failed{NODE})", "{{instance}} copies failed"}}},
	{title: "Recovery actions", help: "Empty until Portico's first recovery action.", queries: []query{
		{"sum by (action, result) (increase(portico_recovery_actions_total{NODE}[RATE]))", "{{action}} {{result}}"}}},
}}, {"Protocol log", []panel{
	{title: "Rows written", unit: "cps", queries: []query{
		{"sum by (instance) (rate(portico_protocol_log_rows_total{NODE}[RATE]))", "{{instance}}"}}},
	{title: "Rows lost, by reason", unit: "cps", queries: []query{
		{"sum by (reason) (rate(portico_protocol_log_dropped_total{NODE}[RATE]))", "{{reason}}"},
		{"sum(rate(portico_protocol_log_write_failures_total{NODE}[RATE]))", "failed writes"}}},
	{title: "Rules and followers", queries: []query{
		{"sum by (instance) (portico_protocol_log_rules{NODE})", "{{instance}} rules"},
		{"sum by (instance) (portico_protocol_log_watchers{NODE})", "{{instance}} followers"},
		{"sum by (instance) (portico_protocol_log_failing{NODE})", "{{instance}} cannot be written"}}},
}}, {"Admin API", []panel{
	{title: "Refused requests by kind", unit: "cps", help: "Unauthenticated: no valid token or certificate. " +
		"Forbidden: the sender may not do that. Misdirected: another Host header.", queries: []query{
		{"sum by (kind) (rate(portico_admin_requests_refused_total{NODE}[RATE]))", "{{kind}}"}}},
	{title: "Displaced connections", unit: "cps", help: "Closed because all were in use and a new one came.",
		queries: []query{
			{"sum by (instance) (rate(portico_admin_connections_displaced_total{NODE}[RATE]))", "{{instance}}"}}},
}}, {"Go runtime", []panel{
	{title: "Heap", unit: "bytes", queries: []query{
		{"go_memstats_heap_alloc_bytes{NODE}", "{{instance}} in use"},
		{"go_memstats_next_gc_bytes{NODE}", "{{instance}} at the next collection"}}},
	{title: "Allocations", unit: "Bps", queries: []query{
		{"rate(go_memstats_alloc_bytes_total{NODE}[RATE])", "{{instance}}"}}},
	{title: "Goroutines and threads", queries: []query{
		{"go_goroutines{NODE}", "{{instance}} goroutines"}, {"go_threads{NODE}", "{{instance}} threads"}}},
	{title: "Garbage collections", unit: "cps", queries: []query{
		{"rate(go_gc_duration_seconds_count{NODE}[RATE])", "{{instance}}"}}},
	{title: "Pauses of garbage collections", unit: "s", help: "The longest of the latest ones.", queries: []query{
		{`go_gc_duration_seconds{NODE,quantile=~"1|1.0"}`, "{{instance}}"}}}, // text, OpenMetrics
}}}
