package health

import "portico/health/catalogue"

// Concerns says whether a monitor concerns a mailbox server: it looks at the server, at a database that is active
// there, or at a database that fails and has failed there. active returns the server of a database's active copy, or
// "".
func Concerns(m MonitorState, server string, active func(database string) (server string)) bool {
	if ServerOf(m, active) == server {
		return true
	}
	return m.Scope() == catalogue.ScopeDatabase && active(m.Target) == server
}

// Concerns says whether a probe looks at a mailbox server: at that server, at a copy there, or at a database that is
// active there.
func (p ProbeState) Concerns(server string, active func(database string) (server string)) bool {
	if p.Target == server {
		return true
	}
	switch e, _ := catalogue.OfProbe(p.Name); e.Scope {
	case catalogue.ScopeCopy:
		_, of := CutCopy(p.Target)
		return of == server
	case catalogue.ScopeCanary:
		_, of := CutCanary(p.Target)
		return of == server
	}
	return p.Target != "" && active(p.Target) == server
}
