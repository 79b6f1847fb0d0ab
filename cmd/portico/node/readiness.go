package node

import "portico/health/admin"

// checks say whether clients should be sent here. The configuration needs none: without a whole one there is no
// service to ask.
func (s *service) checks() []admin.Check {
	all := []admin.Check{
		{Name: "listeners", Ready: s.clients.listeners.ready},
		{Name: "shutdown", Ready: s.background.staying},
		{Name: "components", Ready: s.components.inService},
		{Name: "probes", Ready: s.monitoring.takesClients},
		{Name: "store", Ready: s.store.state.failing, Advisory: true}, // clients are served without it
	}
	if s.cluster != nil {
		all = append(all, admin.Check{Name: "cluster", Ready: s.cluster.alike, Advisory: true})
	}
	return all
}
