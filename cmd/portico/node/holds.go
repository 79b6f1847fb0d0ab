package node

import (
	"fmt"
	"strings"
	"time"

	"portico/backend"
	"portico/health/admin"
)

// What recovery keeps from being used, and why.

// unusable lists why databases cannot move to a server, although users are served elsewhere: recovery's block, Failed
// copies.
func (r *recovering) unusable(server string) (all []string) {
	if why := r.responders.WhyBlocked(server); why != "" {
		all = append(all, "activation is blocked on "+server+": "+why)
	}
	for _, copied := range r.mailbox.active.Copies() {
		if copied.Server == server && copied.Failed != "" && !copied.Active {
			all = append(all, fmt.Sprintf("the copy of %s on %s is Failed: %s", copied.Database, server,
				copied.Failed))
		}
	}
	return all
}

// barred says why nothing moves to a mailbox server unless it is asked for by name, "" if something may.
func (r *recovering) barred(server string) string {
	var all []string
	for _, b := range r.mailbox.active.Blockers(server) {
		word := "blocked by " + b.By
		if b.Who != "" {
			word += " (" + b.Who + ")"
		}
		if why := r.responders.WhyBlocked(server); why != "" && b.By == byHealth {
			word += ": " + why
		}
		all = append(all, word)
	}
	if r.config.current().tier().Policy(server) == backend.BlockedByPolicy {
		all = append(all, "its activation policy is Blocked")
	}
	if err := r.monitoring.serverFails(server); err != nil {
		all = append(all, err.Error())
	}
	return strings.Join(all, "; ")
}

// blocker is who blocks activation on a mailbox server. Of a block that recovery keeps, it names the monitor.
func (r *recovering) blocker(server string, b backend.Blocker) admin.Blocker {
	shown := admin.Blocker{By: b.By, Who: b.Who}
	if b.By != byHealth {
		return shown
	}
	shown.Monitor, shown.Why = r.responders.BlockingMonitor(server), r.responders.WhyBlocked(server)
	for _, m := range r.monitoring.engine.Monitors() {
		switch {
		case m.ID() != shown.Monitor:
		case !m.FlapsUntil.IsZero():
			shown.Why = fmt.Sprintf("it has been flapping since %s, and becomes Healthy at %s at the earliest",
				m.FlapsSince.UTC().Format(time.RFC3339), m.FlapsUntil.UTC().Format(time.RFC3339))
		case shown.Why == "":
			shown.Why = "it is " + m.Value.String()
		}
	}
	return shown
}
