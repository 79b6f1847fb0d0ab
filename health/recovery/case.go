package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"portico/health"
	"portico/health/catalogue"
	"portico/health/components"
)

// Case is the target of an action, and what is at fault. The store keeps it with its ladder.
type Case struct {
	Monitor string `json:"monitor"` // identity
	// the mailbox server that is at fault; "" if none is, but our front end may be
	Server   string `json:"server,omitempty"`
	Database string `json:"database,omitempty"` // the database that the monitor looks at, if it does
	Alone    bool   `json:"alone,omitempty"`    // other databases on the server are well
	Canary   string `json:"canary,omitempty"`   // the canary that the monitor looks at, if it does
	// the node whose front end may be at fault; "" if a server is, or on a Portico that is alone
	Node     string `json:"node,omitempty"`
	Resumed  bool   `json:"-"` // a process before this one has begun the action, and was interrupted
	Instance uint64 `json:"-"` // the record of the action
}

// name is under which the store keeps the ladder of the case: the site has one for each monitor, and each node one for
// its own front end.
func (c Case) name() string {
	if c.Node == "" {
		return c.Monitor
	}
	return c.Node + ":" + c.Monitor
}

func (c Case) server() string   { return c.Server }
func (c Case) frontEnd() string { return components.ImapProxy }
func (c Case) canary() string   { return c.Canary }

// database is what the monitor looks at.
func (c Case) database() string { return cmp.Or(c.Database, c.Server, components.ImapProxy) }

// moved is what a failover moves: a server's databases, or one alone.
func (c Case) moved() string {
	if c.Alone {
		return c.Database
	}
	return c.Server
}

// snapshot is the state of all monitors at one time.
type snapshot struct {
	all     []health.MonitorState
	active  func(database string) (server string) // where its active copy is
	percent int
}

// find returns a monitor by its identity.
func (s snapshot) find(id string) (m health.MonitorState, ok bool) {
	i := slices.IndexFunc(s.all, func(m health.MonitorState) bool { return m.ID() == id })
	if i < 0 {
		return m, false
	}
	return s.all[i], true
}

// selfTest returns the monitor of a mailbox server itself.
func (s snapshot) selfTest(server string) (m health.MonitorState, ok bool) {
	if server == "" {
		return m, false
	}
	return s.find(selfTestID(server))
}

// selfTestID is the identity of the monitor of a mailbox server itself.
func selfTestID(server string) string {
	m := selfTestOf(server)
	return m.ID()
}

// selfTestOf is the monitor of a mailbox server itself, as far as its name goes.
func selfTestOf(server string) health.MonitorState {
	of := catalogue.Direct(catalogue.ScopeServer)
	return health.MonitorState{Monitor: health.Monitor{
		HealthSet: of.Set, Name: of.Monitor, Target: server, Probe: of.Probe,
	}}
}

// fails says whether a monitor fails for the present location of its target.
func (s snapshot) fails(m health.MonitorState) bool {
	return (m.Value == health.Unhealthy || m.Value == health.Degraded && m.Failing()) && !health.Outdated(m, s.active)
}

// caseOf returns the case of a monitor's failure. A server is at fault if the monitor's failure is evidence against
// it, or if the server's own probes fail too.
func (s snapshot) caseOf(m health.MonitorState) Case {
	c := Case{Monitor: m.ID()}
	blames := m.Evidence().Blames()
	switch m.Scope() {
	case catalogue.ScopeServer:
		if blames || s.failsItself(m.Target, "") {
			c.Server = m.Target
		}
	case catalogue.ScopeDatabase:
		server := s.active(m.Target)
		c.Database = m.Target
		if blames || s.failsItself(server, m.Target) {
			c.Server = server
		}
		c.Alone = blames && s.othersWell(m, server)
	case catalogue.ScopeCanary: // the server may be well, and only worse than others
		c.Canary, c.Server = health.CutCanary(m.Target)
	}
	return c
}

// failsItself says whether a server's own probes fail too: that of the server, or that of a database, or with "" of
// any that is active there.
func (s snapshot) failsItself(server, database string) bool {
	return server != "" && slices.ContainsFunc(s.all, func(m health.MonitorState) bool {
		if m.Evidence() != catalogue.FromServer || !s.fails(m) {
			return false
		}
		if m.Scope() == catalogue.ScopeDatabase {
			return m.Target == database || database == "" && s.active(m.Target) == server
		}
		return m.Target == server
	})
}

// othersWell says whether the server works except for this database: it accepts sign-ins, and probes open other
// databases there.
func (s snapshot) othersWell(m health.MonitorState, server string) bool {
	others := false
	for _, other := range s.all {
		switch {
		case own(other) && other.Target == server && s.fails(other):
			return false
		case other.Name == m.Name && other.Target != m.Target && s.active(other.Target) == server:
			if s.fails(other) {
				return false
			}
			others = others || other.Well()
		}
	}
	return others
}

// own says whether a monitor asks a mailbox server itself, and no database on it.
func own(m health.MonitorState) bool {
	return m.Evidence() == catalogue.FromServer && m.Scope() == catalogue.ScopeServer
}

// common returns the text for a monitor that fails on several mailbox servers with a common cause, or "". A canary is
// compared with servers that would have the same cause.
func (s snapshot) common(m health.MonitorState) string {
	if m.Scope() == catalogue.ScopeCanary {
		return ""
	}
	failing, total := health.FailingWith(m, s.all, s.active)
	if !health.IsCommon(len(failing), total, s.percent) {
		return ""
	}
	const why = "%s fails on %d of %d mailbox servers (%s): a common cause is likely"
	return fmt.Sprintf(why, m.Name, len(failing), total, strings.Join(failing, ", "))
}

// blameless returns why a failure is no reason to act, or "".
func (c Case) blameless(f *health.Result) string {
	if f == nil {
		return ""
	}
	switch d := f.Dependency; {
	case d == health.Portico:
		return "Portico has run out of descriptors, ports or memory: an operator has to raise its limits"
	case c.Server == "" && f.Phase == health.PhaseCertificate:
		return "an operator has to renew the certificate"
	case c.Server != "" && (d == health.Networking || d == health.InformationStore ||
		d == health.MailboxServerAuthentication):
		return ""
	case c.Server != "" && d != health.None:
		return fmt.Sprintf("%s is not at fault: %s is", c.Server, d)
	case d != health.None && d != health.Networking && (c.Database == "" || d != health.HighAvailability):
		return fmt.Sprintf("this node is not at fault: %s is", d)
	}
	return ""
}

// needsPeople returns why a failure at a mailbox server needs people, even if its users have moved, or "".
func needsPeople(f *health.Result) string {
	switch f.Phase {
	case health.PhaseCertificate:
		return "an operator has to renew the certificate; a restart does not help"
	case health.PhaseResolve:
		return "an operator has to correct a name that leads nowhere; a restart does not help"
	case health.PhaseAppend:
		return "an operator has to free space on the full volume; a restart does not help"
	}
	return ""
}

// unfit returns why an action does not apply to a case, or cannot repair its failure, or "".
func (c Case) unfit(action Action, f *health.Result) string {
	switch k := kinds[action]; {
	case action == StopCanary && c.Canary == "":
		return "the monitor looks at no canary"
	case action != StopCanary && action != Escalate && c.Canary != "":
		return "nothing but the stop of a canary follows from its figures"
	case k.onServer && c.Server == "":
		return "the mailbox servers' own probes find no server at fault"
	case k.whole && c.Alone:
		return "the other databases on " + c.Server + " are healthy"
	case f == nil || !k.restarts:
		return ""
	case action == RestartServer && f.Dependency == health.MailboxServerAuthentication:
		return "a restart of the machine does not change how a server judges sign-ins"
	}
	return needsPeople(f)
}

// leaders returns the monitor that recovery handles for each mailbox server, and for the front end (""). Other
// monitors that fail there wait, except for canaries: no other step is in the way of their stop.
func (s snapshot) leaders() map[string]string {
	var failing []health.MonitorState
	for _, m := range s.all {
		if s.fails(m) && m.Scope() != catalogue.ScopeCanary {
			failing = append(failing, m)
		}
	}
	slices.SortFunc(failing, func(a, b health.MonitorState) int { return compareRank(a.ID(), b.ID()) })
	leads := make(map[string]string)
	for _, m := range failing {
		if server := s.caseOf(m).Server; leads[server] == "" {
			leads[server] = m.ID()
		}
	}
	return leads
}
