package health

import "strings"

// Concerns says whether a monitor concerns a mailbox server: it looks at that server, at a database that is active
// there, or at one that fails and failed there. active says where a database is active, "" if nowhere.
func Concerns(m MonitorState, server string, active func(database string) (server string)) bool {
	if ServerOf(m, active) == server {
		return true
	}
	return m.Scope() == ScopeDatabase && active(m.Target) == server
}

// Concerns says whether a probe looks at a mailbox server: at that server, at a copy there, or at a database that is
// active there.
func (p ProbeState) Concerns(server string, active func(database string) (server string)) bool {
	if p.Target == server {
		return true
	}
	if _, of, ok := strings.Cut(p.Target, "@"); ok && p.Name == ImapCopyTestProbe {
		return of == server
	}
	return p.Target != "" && active(p.Target) == server
}

// The groups of health sets, in Exchange's words (EXCHANGE.md 1.5).
const (
	CustomerTouchPoints = "Customer Touch Points"
	ServiceComponents   = "Service Components"
	ServerResources     = "Server Resources"
)

// Group returns the group of a health set.
func Group(set string) string {
	switch set {
	case SetIMAP:
		return CustomerTouchPoints
	case SetPortico:
		return ServerResources
	}
	return ServiceComponents
}
