// Package catalogue describes each probe and monitor once: its names, what it looks at, what its failures prove, and
// what follows from them. The rest of Portico asks the catalogue and does not compare names.
//
//	catalogue.go  what an entry says, and how to find one
//	entries.go    the entries: the place to add a probe (docs/extending.md)
//	sets.go       the health sets
//	alias.go      other spellings of names
//
// The package is a table. It knows no configuration, no store and no clock, and every package may import it.
package catalogue

import (
	"slices"
	"time"
)

// Entry describes a probe and the monitor that judges its results.
type Entry struct {
	Set string // health set: one of Sets
	// Monitor is the monitor's name. It is empty if no monitor judges the probe; then only those fields count that
	// say how the probe runs.
	Monitor string
	Probe   string // ends in Probe, or in Check for one that reads counters
	Scope   Scope  // what the targets are; the engine makes a probe and a monitor for each
	// Whole adds a probe and a monitor for all targets together, with target "".
	Whole bool
	// Check says that the probe reads what Portico itself counts or keeps, and connects to nothing. To run it by hand
	// shows no more than its monitor's state.
	Check bool
	// Anywhere says that a run by hand may ask another endpoint than the probe's own.
	Anywhere bool

	// TimingKey is the configuration key below health: that holds the probe's timing. It is empty if Timing does.
	TimingKey string
	Timing    Timing
	// Slower multiplies the interval; 0 is 1.
	Slower int
	// UnhealthyAfter is how long the monitor is Degraded first; 0 is the engine's default.
	UnhealthyAfter time.Duration
	// MaySleep says that a probe without results is no fault, since it may have nothing to look at.
	MaySleep bool

	// Evidence is what a failure proves about the mailbox server. Dependency rules of recovery, alerts and failover
	// follow from it.
	Evidence Evidence
	// Rank orders monitors that fail on one mailbox server: recovery handles the lowest, the others wait. Monitors of
	// equal rank go by identity.
	Rank int
	// Ladder is the configuration key below health.recovery.ladders: that lists the recovery steps, and their default
	// there. It is empty if recovery does nothing.
	Ladder    string
	Component string // the component that it belongs to, as ImapProxy; empty for none

	ProbeHelp   string // what the probe does
	MonitorHelp string // when the monitor is Unhealthy
}

// Timing says how often a probe runs, how long a run may take, and how many consecutive failures make its monitor
// Degraded.
type Timing struct {
	Interval time.Duration
	Timeout  time.Duration
	Failures int
}

// Scope is what a target is.
type Scope uint8

// The scopes.
const (
	ScopeNode     Scope = 1 + iota // this Portico: the target is ""
	ScopeServer                    // a mailbox server
	ScopeDatabase                  // a database with a health mailbox
	ScopeCopy                      // a copy of an interchangeable database: DATABASE@SERVER
	ScopeCanary                    // a canary with limits: NAME@SERVER
)

// String returns the scope's name: node, server, database, copy or canary.
func (s Scope) String() string {
	return [...]string{ScopeNode: "node", ScopeServer: "server", ScopeDatabase: "database", ScopeCopy: "copy",
		ScopeCanary: "canary"}[s]
}

// Evidence is what a monitor's failure proves about a mailbox server.
type Evidence uint8

const (
	// Indirect proves nothing about a server by itself: recovery blames a server only if FromServer evidence agrees.
	Indirect Evidence = 1 + iota
	// FromUsers proves that users' sign-ins to the server fail. It keeps users away from the server.
	FromUsers
	// FromServer proves that the server itself fails, since the probe asks it directly. If the target is the server,
	// it keeps users away from the server.
	FromServer
)

// Blames says whether the evidence is enough to blame a mailbox server.
func (e Evidence) Blames() bool { return e == FromUsers || e == FromServer }

// lastRank is that of monitors that wait for all others.
const lastRank = 5

// byMonitor and byProbe find entries by name.
var byMonitor, byProbe = index()

func index() (byMonitor, byProbe map[string]*Entry) {
	byMonitor, byProbe = make(map[string]*Entry), make(map[string]*Entry)
	for i := range entries {
		e := &entries[i]
		byProbe[e.Probe] = e
		if e.Monitor != "" {
			byMonitor[e.Monitor] = e
		}
	}
	return byMonitor, byProbe
}

// All returns all entries, in the order in which they are described.
func All() []Entry { return slices.Clone(entries[:]) }

// Of returns the entry of a monitor. A name that the catalogue does not have is treated as a monitor of a mailbox
// server that proves nothing and waits for all others.
func Of(monitor string) Entry {
	if e := byMonitor[monitor]; e != nil {
		return *e
	}
	return Entry{Monitor: monitor, Scope: ScopeServer, Check: true, Evidence: Indirect, Rank: lastRank}
}

// OfProbe returns the entry of a probe, and whether there is one.
func OfProbe(probe string) (Entry, bool) {
	if e := byProbe[probe]; e != nil {
		return *e, true
	}
	return Entry{}, false
}

// Direct returns the entry whose probe asks a mailbox server itself about targets of a scope. Of several it is that of
// the lowest rank. ScopeServer and ScopeDatabase have one.
func Direct(scope Scope) (found Entry) {
	for i := range entries {
		e := &entries[i]
		if e.Scope == scope && e.Evidence == FromServer && e.Monitor != "" &&
			(found.Rank == 0 || e.Rank < found.Rank) {
			found = *e
		}
	}
	return found
}

// OffInMaintenance says whether the monitor is Disabled while its target is in maintenance: all monitors of mailbox
// servers are. Those of databases stay, since the database is served elsewhere.
func (e Entry) OffInMaintenance() bool { return e.Scope == ScopeServer }

// Help says what a probe, a check or a monitor looks at, "" for an unknown name.
func Help(name string) string {
	if e, ok := OfProbe(name); ok {
		return e.ProbeHelp
	}
	return Of(name).MonitorHelp
}
