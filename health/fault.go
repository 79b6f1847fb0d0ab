package health

import (
	"slices"
	"time"

	"portico/health/catalogue"
)

// The faults that leave users their mail, or of which nobody knows whether they do. Any other fault of a server is
// worse.
const (
	faultFlapping = "flapping"
	faultSilence  = "no results"
	faultCopies   = string(HighAvailability)
)

// faultOf names what a monitor says is wrong. Two results have the same name if people look for the same thing. The
// phases of a connection differ from probe to probe, but a certificate, a name or a full disk is a fault of its own.
func faultOf(m MonitorState) string {
	switch {
	case m.Value == Unavailable:
		return faultSilence
	case m.Value != Unhealthy:
		return faultFlapping
	case m.LastFailure == nil:
		return m.Name
	}
	f := m.LastFailure
	switch {
	case f.Dependency == None:
		return m.Name
	case f.Phase == PhaseCertificate, f.Phase == PhaseResolve, f.Phase == PhaseAppend:
		return string(f.Dependency) + ", " + f.Phase
	case f.Dependency == MailboxServerAuthentication: // probes disagree about whose fault a refused sign-in is
		return string(Authentication)
	}
	return string(f.Dependency)
}

// minor says whether a fault is less than a failure of the mailbox server.
func minor(fault string) bool {
	return fault == faultFlapping || fault == faultSilence || fault == faultCopies
}

// lasting is a fault that a monitor names, and the time since when it has named no other one.
type lasting struct {
	fault string
	since time.Time
}

// name records what a monitor at fault says is wrong now, and returns it. lasts reports whether it has been the same
// long enough to send an alert. While a monitor flaps, its fault is called flapping until another fault has lasted. The
// caller holds mu.
func (e *Escalator) name(m MonitorState, now time.Time) (fault string, lasts bool) {
	is := lasting{faultOf(m), m.LastTransition}
	if before, ok := e.named[m.ID()]; ok && !minor(before.fault) {
		if before.fault != is.fault {
			is.since = now
		} else if before.since.After(is.since) {
			is.since = before.since
		}
	}
	e.named[m.ID()] = is
	lasts = now.Sub(is.since) >= e.gather
	if !lasts && !m.FlapsSince.IsZero() {
		return faultFlapping, false
	}
	return is.fault, lasts
}

// worse says whether people have to be told again of an alert, since a monitor names another fault than those they
// were told. Each fault is told once. Monitors that count what users see name the same cause in their own way; only
// the probes that ask the server itself can tell two causes apart.
func (a *Alert) worse(m MonitorState, fault string) bool {
	switch {
	case minor(fault) || slices.Contains(a.Faults, fault):
		return false
	case !slices.ContainsFunc(a.Faults, func(told string) bool { return !minor(told) }):
		return true
	}
	return m.Evidence() == catalogue.FromServer
}

// covers returns whether an alert has a monitor for what that looks at now, and whether people know its fault. The
// caller holds mu.
func (e *Escalator) covers(m MonitorState, fault string) (covered, known bool) {
	for _, a := range e.open {
		if !slices.Contains(a.Monitors, m.ID()) || a.Mailbox != "" && a.Mailbox != ServerOf(m, e.opt.Active) {
			continue
		}
		covered = true
		known = known || len(a.Faults) == 0 || slices.Contains(a.Faults, fault)
	}
	return covered, known || minor(fault)
}

// worsen has an alert tell what a monitor says, instead of what it told. The caller holds mu.
func (e *Escalator) worsen(a *Alert, m MonitorState, fault string, all []MonitorState) {
	delete(e.open, a.Cause)
	delete(e.sent, a.Cause) // the other cause may have been sent already
	p := e.causeOf(m, all)
	a.Cause, a.Dependency, a.Error = p.name, p.dependency, errorOf(m, fault)
	a.Faults = append(slices.Clip(a.Faults), fault)
	e.open[a.Cause] = a
}

// fault is what people were told last.
func (a *Alert) fault() string {
	if len(a.Faults) == 0 {
		return ""
	}
	return a.Faults[len(a.Faults)-1]
}
