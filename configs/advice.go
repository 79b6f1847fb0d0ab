package configs

import (
	"maps"
	"slices"
	"strings"
)

// Advice returns hints about a configuration that works, but with which Portico finds faults later than expected or
// repairs fewer of them. [Load] does not warn about these.
func (c *Config) Advice() Problems {
	v := &validator{c: c}
	v.unwatched()
	v.slowProbes()
	v.fewServers()
	v.ambiguousNodes()
	v.problems.sort()
	return v.problems
}

// ambiguousNodes warns about nodes with the name of a mailbox server: --server then means the mailbox server, and only
// --node reaches the node.
func (v *validator) ambiguousNodes() {
	for _, node := range slices.Sorted(maps.Keys(v.c.Nodes)) {
		for _, server := range slices.Sorted(maps.Keys(v.c.MailboxServers)) {
			if strings.EqualFold(node, server) {
				v.warn(join("nodes", node),
					"mailbox server %s has the same name: --server %s means the mailbox server, and only --node %s "+
						"means the node; give the node another name", server, server, node)
			}
		}
	}
}

// unwatched warns about databases that no probe opens.
func (v *validator) unwatched() {
	var names []string
	for _, name := range v.c.DatabaseNames() {
		if _, ok := v.c.Health.Mailboxes[name]; !ok {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		v.warn(v.given("health.mailboxes", "databases"),
			"no probe opens a mailbox of %s: add health mailboxes, or only the servers are monitored",
			strings.Join(names, ", "))
	}
}

// slowProbes warns about probes whose runs may take longer than their interval.
func (v *validator) slowProbes() {
	of := v.c.Health
	for _, probe := range []struct {
		name string
		ProbeTiming
	}{{"self_test", of.SelfTest}, {"deep_test", of.DeepTest.Timing()}, {"proxy_test", of.ProxyTest}, {"ctp", of.CTP}} {
		if probe.Timeout > probe.Interval {
			v.warn(join(join("health", probe.name), "timeout"),
				"is longer than the interval, %v: if a server does not answer, failures arrive only every %v",
				probe.Interval, probe.Timeout)
		}
	}
}

// fewServers warns if faults of two servers count as a common cause, so that neither is restarted, and databases have
// copies on these two servers only.
func (v *validator) fewServers() {
	of, servers := v.c.Health.Recovery, len(v.c.MailboxServers)
	apart := (2*100 + servers - 1) / max(servers, 1) // the lowest percentage at which two servers are no common cause
	if servers < 2 || of.CommonCausePercent >= apart || of.Mode == RecoveryOff {
		return
	}
	var out []string
	for _, name := range v.c.DatabaseNames() {
		if len(v.c.Databases[name].Copies) <= 2 {
			out = append(out, name)
		}
	}
	if servers > 2 && len(out) == 0 {
		return
	}
	const why = "if two of the %d servers fail, Portico assumes a common cause and restarts neither: users of " +
		"databases that have no copy elsewhere%s stay out; with health.recovery.common_cause_percent %d, both " +
		"are restarted"
	names := ""
	if len(out) > 0 {
		names = ", for example " + strings.Join(out, ", ") + ","
	}
	v.warn(v.given("health.recovery.common_cause_percent", "mailbox_servers"), why, servers, names, apart)
}
