package proxy

import (
	"portico/proxy/history"
	"portico/proxy/relay"
	"portico/proxy/wire"
)

// Counts returns what was counted so far. The caller owns it.
func (s *Server) Counts() history.Counts {
	stats, counts := s.Stats(), make(history.Counts)
	for name, server := range stats.Servers {
		of := counts.Of(history.Server, name)
		of.Traffic = server.Traffic
		for v, h := range server.Commands {
			if h != nil {
				verb, results := wire.Verb(v).String(), &server.Results[v]
				of.Commands[verb] = h
				of.Errors[verb] = results[relay.ResultNO] + results[relay.ResultBAD]
			}
		}
	}
	addGroups(counts, history.Database, stats.Databases)
	addGroups(counts, history.Listener, stats.Listeners)
	s.signins.addTo(counts)
	return counts
}

func addGroups(to history.Counts, kind history.Kind, groups map[string]*relay.GroupStats) {
	for name, group := range groups {
		of := to.Of(kind, name)
		of.Traffic = group.Traffic
		of.Commands[""] = &group.Commands
	}
}
