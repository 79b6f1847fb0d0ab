package health

import (
	"cmp"
	"fmt"
	"slices"

	"portico/health/catalogue"
)

// blamesServer says whether a failure at a mailbox server is that server's own.
func (f *Result) blamesServer() bool {
	return f.Dependency == Networking || f.Dependency == InformationStore ||
		f.Dependency == MailboxServerAuthentication
}

// ServerFails returns why users must not go to a mailbox server: a monitor whose failure is evidence against the server
// fails, and blames the server. It returns nil if no monitor says so, or if no monitor looks at the server.
func ServerFails(server string, all []MonitorState) error {
	for _, m := range witnesses(server, all) {
		if f := m.LastFailure; m.Failing() && f != nil && f.blamesServer() {
			return fmt.Errorf("%s fails: %s", m.ID(), f.Err)
		}
	}
	return nil
}

// ServerWorks says whether there is evidence that a mailbox server works: the monitor that asks the server itself is
// healthy, its latest run succeeded, and users' sign-ins do not fail.
func ServerWorks(server string, all []MonitorState) bool {
	asked := false
	for _, m := range witnesses(server, all) {
		switch direct := m.Evidence() == catalogue.FromServer; {
		case direct && !(m.Well() && m.InRow == 0 && !m.LastSuccess.IsZero()), !direct && m.Failing():
			return false
		case direct:
			asked = true
		}
	}
	return asked
}

// Unreadable returns a monitor's failure to read the mail of a database's copy on a server, or nil.
func Unreadable(database, server string, all []MonitorState) *Result {
	for _, m := range all {
		if m.Evidence() != catalogue.FromServer || m.Scope() != catalogue.ScopeDatabase || m.Target != database ||
			m.Value != Unhealthy && (m.Value != Degraded || !m.Failing()) {
			continue
		}
		if last := m.LastFailure; last != nil && last.Mailbox == server && last.Dependency == InformationStore {
			return last
		}
	}
	return nil
}

// witnesses returns the monitors of a mailbox server whose failure is evidence against it, the best evidence first.
func witnesses(server string, all []MonitorState) (found []MonitorState) {
	for _, m := range all {
		if m.Target == server && m.Scope() == catalogue.ScopeServer && m.Evidence().Blames() {
			found = append(found, m)
		}
	}
	slices.SortStableFunc(found, func(a, b MonitorState) int {
		return cmp.Compare(catalogue.Of(a.Name).Rank, catalogue.Of(b.Name).Rank)
	})
	return found
}
