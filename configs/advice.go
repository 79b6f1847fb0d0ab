package configs

import (
	"maps"
	"slices"
	"strings"
)

// Advice returns where a configuration works, but finds faults later than one
// may think, or mends fewer of them. [Load] does not warn of that.
func (c *Config) Advice() Problems {
	v := &validator{c: c}
	v.unwatched()
	v.slowProbes()
	v.twoServers()
	v.problems.sort()
	return v.problems
}

// unwatched warns of databases that no probe opens.
func (v *validator) unwatched() {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(v.c.Databases)) {
		if _, ok := v.c.Health.Mailboxes[name]; !ok {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		v.warn(v.given("health.mailboxes", "databases"),
			"no probe opens a mailbox of %s: add health mailboxes, or only the servers are watched", strings.Join(names, ", "))
	}
}

// slowProbes warns of probes whose runs may take longer than their interval.
func (v *validator) slowProbes() {
	of := v.c.Health
	for _, probe := range []struct {
		name string
		ProbeTiming
	}{{"self_test", of.SelfTest}, {"deep_test", of.DeepTest.Timing()}, {"proxy_test", of.ProxyTest}, {"ctp", of.CTP}} {
		if probe.Timeout > probe.Interval {
			v.warn(join(join("health", probe.name), "timeout"),
				"is longer than the interval, %v: of a server that does not answer, failures come only each %v",
				probe.Interval, probe.Timeout)
		}
	}
}

// twoServers warns where any faults of two servers have a cause in common, so
// that neither is recovered.
func (v *validator) twoServers() {
	of := v.c.Health.Recovery
	if len(v.c.MailboxServers) == 2 && of.CommonCausePercent < 100 && of.Mode != RecoveryOff {
		v.warn(v.given("health.recovery.common_cause_percent", "mailbox_servers"),
			"if both servers fail, they always have a cause in common, and neither is recovered; "+
				"with health.recovery.common_cause_percent 100, both are")
	}
}
