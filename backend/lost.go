package backend

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"portico/backend/move"
	"portico/configs/store"
)

// Remembered is a file that may have entries that a restore lacks.
type Remembered struct {
	Name    string // as people are shown it
	Entries map[string]store.Entry
}

// LostEntry is an entry of the store that decides where users go, and that a restore lacks.
type LostEntry struct {
	Key    string
	Value  string // in the latest file that has it; "" if none has
	From   string // the name of that file
	Effect string // what Portico does without the entry
}

// lostEffects say what Portico does without an entry, by the beginning of its key. Entries that are not here are kept
// for comfort: what the mailbox servers offer, settings, rules of the protocol log.
var lostEffects = []struct{ prefix, effect string }{
	{activeKey, lostCopy},
	{movingKey, lostCopy},
	{blockedKey, "databases may be activated on %[1]s: `portico server block %[1]s` forbids that again"},
	{policyKey, "%[1]s has the policy in the configuration: `portico server policy %[1]s` shows and sets it"},
	{movedUserKey, "%[1]s is in the database that the directory names: `portico user move %[1]s DATABASE` moves the " +
		"user again"},
	{canaryKey, "database %[1]s has no canary: `portico canary start` starts it again"},
	{failedKey, "the copy %[1]s counts as healthy until a probe cannot read it"},
	{pinKey, "users are spread over the databases in the configuration; if those have changed, users find " +
		"empty mailboxes"},
}

const lostCopy = "no user is admitted to %[1]s until you run `portico database move %[1]s SERVER`"

// LostEntries lists the entries that a restore lacks. named are the keys of damaged entries, "" for each that could
// not be read; damaged says that the copy is damaged. remembered has the files to compare with, the latest first.
// copies has the servers of each configured database.
func LostEntries(
	taken map[string]store.Entry, damaged bool, named []string, remembered []Remembered, copies map[string][]string,
) []LostEntry {
	lost := make(map[string]LostEntry)
	add := func(key, value, from string) {
		if _, there := taken[key]; there || lost[key].From != "" {
			return
		}
		for _, of := range lostEffects {
			if name, fits := strings.CutPrefix(key, of.prefix); fits {
				lost[key] = LostEntry{key, value, from, fmt.Sprintf(of.effect, cmp.Or(name, key))}
			}
		}
	}
	damaged = damaged && (len(named) == 0 || slices.ContainsFunc(named, func(key string) bool {
		return !slices.ContainsFunc(remembered, func(r Remembered) bool { _, has := r.Entries[key]; return has })
	})) // a key that nobody remembers may be another one's, misread
	for database := range copies {
		for _, r := range remembered { // a database that nobody remembers is new, if nothing is damaged
			if e, has := r.Entries[activeKey+database]; has {
				add(e.Key, string(e.Value), r.Name)
			}
		}
		if damaged {
			add(activeKey+database, "", "")
		}
	}
	for _, r := range remembered {
		for key, e := range r.Entries {
			if damaged || slices.Contains(named, key) {
				add(key, string(e.Value), r.Name)
			}
		}
	}
	for _, key := range named { // "" is no entry's
		add(key, "", "")
	}
	return slices.SortedFunc(maps.Values(lost), func(a, b LostEntry) int { return strings.Compare(a.Key, b.Key) })
}

// SuspendLost returns entries, by key, that suspend the databases whose active copy is lost, until an operator moves
// them. Without these entries, the next start would use the first copy.
func SuspendLost(lost []LostEntry, copies map[string][]string) map[string]string {
	entries := make(map[string]string)
	for _, l := range lost {
		for _, prefix := range []string{activeKey, movingKey} {
			database, fits := strings.CutPrefix(l.Key, prefix)
			if servers := copies[database]; fits && len(servers) > 0 {
				entries[activeKey+database] = move.Text(move.Record{Phase: move.Suspended, At: servers[0],
					Between: servers})
			}
		}
	}
	return entries
}
