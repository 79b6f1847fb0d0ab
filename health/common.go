package health

import (
	"slices"

	"portico/health/catalogue"
)

// Scope says what the monitor's target is.
func (m *Monitor) Scope() catalogue.Scope {
	if m.Target == "" {
		return catalogue.ScopeNode
	}
	return catalogue.Of(m.Name).Scope
}

// Evidence says what a failure of the monitor proves about a mailbox server.
func (m *Monitor) Evidence() catalogue.Evidence { return catalogue.Of(m.Name).Evidence }

// ServerOf returns the mailbox server that a monitor looks at: where it failed, if it fails, else where its database
// is active. It returns "" if there is none. active says where a database is active, "" if nowhere.
func ServerOf(m MonitorState, active func(database string) (server string)) string {
	switch m.Scope() {
	case catalogue.ScopeServer:
		return m.Target
	case catalogue.ScopeDatabase:
		if m.LastFailure != nil && m.LastFailure.Mailbox != "" && (m.Failing() || !m.FlapsSince.IsZero()) {
			return m.LastFailure.Mailbox
		}
		return active(m.Target)
	case catalogue.ScopeCanary:
		_, server := CutCanary(m.Target)
		return server
	}
	return ""
}

// Failing says whether the monitor's target fails. It need not have failed for long: half of the results in a row that
// it takes are enough.
func (m *MonitorState) Failing() bool {
	switch m.Value {
	case Unhealthy, Unavailable:
		return true
	case Degraded: // one that flaps may be well
		return m.FlapsSince.IsZero() || !m.FirstAlert.IsZero()
	case Disabled:
		return false
	}
	return m.InRow > 0 && 2*m.InRow >= m.Failures
}

// Well says whether the monitor has seen its target well, and does not fail now. One that flaps may be well.
func (m *MonitorState) Well() bool { return m.Value == Healthy || m.Value == Degraded && !m.Failing() }

// Together counts the mailbox servers at which targets of a monitor fail now, and those at which the monitor has any.
// Databases of one server count as that server.
func Together(m MonitorState, all []MonitorState, active func(database string) (server string)) (failing, total int) {
	names, total := FailingWith(m, all, active)
	return len(names), total
}

// FailingWith names the mailbox servers at which targets of a monitor fail now, sorted, and counts those at which the
// monitor has any.
func FailingWith(m MonitorState, all []MonitorState, active func(database string) (server string)) (failing []string,
	total int) {
	servers := make(map[string]bool)
	for _, other := range all {
		if other.Name != m.Name || other.HealthSet != m.HealthSet || other.Value == Disabled {
			continue
		}
		if server := ServerOf(other, active); server != "" {
			servers[server] = servers[server] || other.Failing() && !Outdated(other, active)
		}
	}
	for server, fails := range servers {
		if fails {
			failing = append(failing, server)
		}
	}
	slices.Sort(failing)
	return failing, len(servers)
}

// IsCommon says whether mailbox servers that fail together have a cause in common: at least two fail, and more than
// percent in a hundred (docs/health.md).
func IsCommon(failing, total, percent int) bool { return failing > 1 && failing*100 > total*percent }

// OfNoServer says whether a dependency is no mailbox server's, so that whatever blames it has a cause in common.
func (d Dependency) OfNoServer() bool { return d == ActiveDirectory || d == Portico }

// Outdated says whether a monitor's last failure tells nothing of how its target is now: its database has moved since,
// or has an active copy again. The next result of its probe will tell.
func Outdated(m MonitorState, active func(database string) (server string)) bool {
	if m.Scope() != catalogue.ScopeDatabase || m.LastFailure == nil || m.Stale {
		return false
	}
	now, failed := active(m.Target), m.LastFailure
	if now == "" {
		return false
	}
	return failed.Mailbox != "" && failed.Mailbox != now ||
		failed.Mailbox == "" && failed.Dependency == HighAvailability
}
