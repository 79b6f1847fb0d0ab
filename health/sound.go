package health

import (
	"fmt"
	"slices"
)

// blamesServer says whether a failure at a mailbox server is that server's own.
func (f *Result) blamesServer() bool {
	return f.Dependency == Networking || f.Dependency == InformationStore ||
		f.Dependency == MailboxServerAuthentication
}

// Unsound says why users must not be sent to a mailbox server: its own ImapSelfTestMonitor fails, or users' sign-ins
// do, and that blames the server. It returns nil if no monitor says so, also where none looks at the server.
func Unsound(server string, all []MonitorState) error {
	for _, name := range []string{ImapSelfTestMonitor, ProxyConnectionsFailedGt20PercentMonitor} {
		m, ok := monitorOf(name, server, all)
		if f := m.LastFailure; ok && m.Failing() && f != nil && f.blamesServer() {
			return fmt.Errorf("%s fails: %s", m.ID(), f.Err)
		}
	}
	return nil
}

// Sound says whether there is evidence that a mailbox server serves: its own ImapSelfTestMonitor is well and the
// latest run succeeded, and users' sign-ins do not fail.
func Sound(server string, all []MonitorState) bool {
	m, ok := monitorOf(ImapSelfTestMonitor, server, all)
	users, counted := monitorOf(ProxyConnectionsFailedGt20PercentMonitor, server, all)
	return ok && m.Well() && m.InRow == 0 && !m.LastSuccess.IsZero() && !(counted && users.Failing())
}

// monitorOf returns a monitor of a mailbox server.
func monitorOf(name, server string, all []MonitorState) (m MonitorState, ok bool) {
	i := slices.IndexFunc(all, func(m MonitorState) bool { return m.Name == name && m.Target == server })
	if i < 0 {
		return m, false
	}
	return all[i], true
}
