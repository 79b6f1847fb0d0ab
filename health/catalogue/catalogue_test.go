package catalogue

import (
	"slices"
	"strings"
	"testing"
)

// TestEntries: an entry says all that the rest of Portico asks for. cmd/portico/node tests that the probe has a run
// function and that its keys are in the configuration, and cmd/portico that it is documented.
func TestEntries(t *testing.T) {
	names := make(map[string]bool)
	for _, e := range All() {
		of := e.Probe
		wrong := func(what string) { t.Errorf("%s: %s", of, what) }
		for _, name := range []string{e.Probe, e.Monitor} {
			if name != "" && names[name] {
				wrong("there are two " + name)
			}
			names[name] = true
		}
		kind := "Probe"
		if e.Check {
			kind = "Check"
		}
		stem, ok := strings.CutSuffix(e.Probe, kind)
		if !ok || stem == "" {
			wrong("the name of the probe does not end in " + kind)
		}
		if e.Monitor != "" && e.Monitor != stem+"Monitor" {
			wrong("the monitor is " + e.Monitor + ", not " + stem + "Monitor")
		}
		if !slices.ContainsFunc(sets[:], func(s Set) bool { return s.Name == e.Set }) {
			wrong("there is no health set " + e.Set)
		}
		if e.Scope < ScopeNode || e.Scope > ScopeCanary {
			wrong("the scope is missing")
		}
		if e.Whole && e.Scope == ScopeNode {
			wrong("a probe of this node has no other targets")
		}
		if given := e.Timing.Interval > 0 && e.Timing.Timeout > 0 && e.Timing.Failures > 0; given ==
			(e.TimingKey != "") {
			wrong("the timing is in one place: Timing, or the key of the configuration")
		}
		if e.ProbeHelp == "" {
			wrong("the help of the probe is missing")
		}
		if e.Monitor != "" {
			monitorEntry(e, wrong)
		}
	}
}

// monitorEntry checks what an entry with a monitor says besides.
func monitorEntry(e Entry, wrong func(string)) {
	if e.MonitorHelp == "" {
		wrong("the help of the monitor is missing")
	}
	if e.Evidence < Indirect || e.Evidence > FromServer {
		wrong("the evidence is missing")
	}
	if e.Evidence.Blames() && e.Scope != ScopeServer && e.Scope != ScopeDatabase {
		wrong("there is no mailbox server that the evidence is against")
	}
	if e.Rank < 1 || e.Rank > lastRank {
		wrong("the rank is missing")
	}
	if e.Evidence == FromServer && e.Check {
		wrong("a check asks no server")
	}
}

// TestDirect: there is a probe that asks a mailbox server itself, and one for a database on it.
func TestDirect(t *testing.T) {
	for scope, want := range map[Scope]string{ScopeServer: ImapSelfTestMonitor, ScopeDatabase: ImapDeepTestMonitor} {
		if got := Direct(scope).Monitor; got != want {
			t.Errorf("of a %s it is %q, want %q", scope, got, want)
		}
	}
}

// TestUnknownNames: a monitor that the catalogue does not have proves nothing and waits for all others.
func TestUnknownNames(t *testing.T) {
	for _, name := range []string{"", "NoSuchMonitor"} {
		e := Of(name)
		if e.Evidence.Blames() || e.Rank != lastRank || e.Ladder != "" || e.Scope != ScopeServer || Help(name) != "" {
			t.Errorf("%q is %+v", name, e)
		}
	}
	if s := SetOf("NoSuchSet"); s.Group != ServiceComponents || s.Component != "" {
		t.Errorf("an unknown set is %+v", s)
	}
}
