package health

import (
	"cmp"
	"slices"
	"time"

	"portico/health/catalogue"
)

// cause is what a monitor's fault is attributed to.
type cause struct {
	name       string
	dependency Dependency
	server     string   // the mailbox server at fault, if there is one
	servers    []string // mailbox servers with this common cause
}

// causeOf returns the cause of a monitor's fault. The caller holds mu.
func (e *Escalator) causeOf(m MonitorState, all []MonitorState) (p cause) {
	if m.LastFailure != nil {
		p.dependency = m.LastFailure.Dependency
	}
	p.name = cmp.Or(string(p.dependency), m.Name)
	if !e.isWide(m, p.dependency, all) {
		p.server = ServerOf(m, e.opt.Active)
		p.name += " of " + cmp.Or(p.server, m.Target, "the front end")
		return p
	}
	if failing, total := FailingWith(m, all, e.opt.Active); !p.dependency.OfNoServer() &&
		IsCommon(len(failing), total, e.percent) {
		p.servers = failing
	}
	return p
}

// errorOf is the text of an alert about a monitor's fault.
func errorOf(m MonitorState, fault string) (text string) {
	if m.LastFailure != nil {
		text = m.LastFailure.Err
	}
	switch fault {
	case faultSilence:
		text = "its probe no longer returns results"
	case faultFlapping:
		text = "it fails and recovers repeatedly: " + text
	}
	return text
}

// joinAlert adds a monitor to the alert of its cause, and reports whether that has changed the alert. The caller holds
// mu.
func (e *Escalator) joinAlert(m MonitorState, fault string, all []MonitorState, now time.Time) (a *Alert, joined bool) {
	p := e.causeOf(m, all)
	a = e.open[p.name]
	if a == nil && p.server != "" {
		a = e.openOf(p.server)
	}
	if a == nil {
		a = &Alert{Cause: p.name, Dependency: p.dependency, Mailbox: p.server, Since: now,
			Error: errorOf(m, fault), Faults: []string{fault}, Node: e.opt.Node}
		e.open[p.name] = a
	}
	if slices.Contains(a.Monitors, m.ID()) {
		return a, false
	}
	failing := []string{m.ID()}
	if !m.FirstAlert.IsZero() && m.FirstAlert.Before(a.Since) {
		a.Since = m.FirstAlert
	}
	if len(p.servers) > 0 { // in a list of its own, as Monitors
		a.Servers = slices.Concat(a.Servers, p.servers)
		slices.Sort(a.Servers)
		a.Servers = slices.Compact(a.Servers)
		failing = append(failing, e.failingOn(a.Servers, all)...)
	}
	// into a list of its own: copies of the alert share the old one
	a.Monitors = slices.Concat(a.Monitors, failing)
	slices.Sort(a.Monitors)
	a.Monitors = slices.Compact(a.Monitors)
	return a, true
}

// failingOn returns the identities of the monitors that fail now on some of the mailbox servers. Those of one server
// turn later than those of another, and an alert about both lists all of them from the start. The caller holds mu.
func (e *Escalator) failingOn(servers []string, all []MonitorState) (ids []string) {
	for _, m := range all {
		if m.Failing() && !Outdated(m, e.opt.Active) && slices.Contains(servers, ServerOf(m, e.opt.Active)) {
			ids = append(ids, m.ID())
		}
	}
	return ids
}

// openOf returns the open alert of a mailbox server, nil if there is none: what fails on that server later joins it,
// whatever it blames. The caller holds mu.
func (e *Escalator) openOf(server string) *Alert {
	for _, a := range e.open {
		if a.Mailbox == server {
			return a
		}
	}
	return nil
}

// isWide says whether a monitor's fault is no single mailbox server's, nor this front end's own. The caller holds mu.
func (e *Escalator) isWide(m MonitorState, d Dependency, all []MonitorState) bool {
	if m.Scope() == catalogue.ScopeNode {
		return d != None && d != Networking
	}
	failing, total := Together(m, all, e.opt.Active)
	return d.OfNoServer() || IsCommon(failing, total, e.percent)
}
