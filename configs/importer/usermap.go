package importer

import (
	"fmt"
	"strings"

	"portico/configs"
)

// userMap is a map of users that an import writes. What there is to say about a user stands at the line there, and once
// for all of a kind in the configuration, which many users would make too large.
type userMap struct {
	text  strings.Builder
	users int
	lines map[string]*directive // of the source, by the name as Portico looks it up
	kinds []*mapNote            // in the order of their first line
}

// mapNote is one thing to say about lines.
type mapNote struct {
	kind, why string
	first     *directive
	count     int
}

// The kinds of notes.
const (
	noteDecide  = "decide"
	noteWithout = "no counterpart"
)

// mapName says whether a name may stand in a map file, where "*" is everybody.
func mapName(name string) bool {
	return name != "" && len(name) <= 1000 && !strings.ContainsAny(name, "\t=#*") &&
		!strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// has says whether the map has the name already: letters count alike. The second line becomes a comment.
func (m *userMap) has(x *directive, name string) bool {
	if m.lines == nil {
		m.lines = map[string]*directive{}
	}
	lower := strings.ToLower(name)
	if before := m.lines[lower]; before != nil {
		const why = "not taken over: an earlier line has the same name. Small and capital letters are alike in Portico"
		m.note(x, noteDecide, why+" ("+before.place()+")", why)
		return true
	}
	m.lines[lower] = x
	return false
}

// add gives a user a line.
func (m *userMap) add(name, says string) {
	fmt.Fprintf(&m.text, "%s %s\n", name, says)
	m.users++
}

// note says something about a line of the source: here with its place, and in the configuration for all lines alike.
func (m *userMap) note(x *directive, kind, here, inAll string) {
	fmt.Fprintf(&m.text, "# %.900s\n", comment(fmt.Sprintf("%s: %s: %s: %s", x.place(), x.text(), kind, here)))
	for _, n := range m.kinds {
		if n.kind == kind && n.why == inAll {
			n.count++
			return
		}
	}
	m.kinds = append(m.kinds, &mapNote{kind: kind, why: inAll, first: x, count: 1})
}

// decide is note for what somebody has to decide.
func (m *userMap) decide(x *directive, format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	m.note(x, noteDecide, why, why)
}

// writeMap makes the map a file and a source of the directory, and returns the key of the source. by is what names the
// map in the source.
func (d *draft) writeMap(by *directive, m *userMap) (key string) {
	if m.text.Len() == 0 {
		return ""
	}
	name := d.file(by, "users.map", m.text.String(), false)
	d.config.Directory.Sources = append(d.config.Directory.Sources, configs.DirectorySource{File: name})
	key = fmt.Sprintf("directory.sources[%d]", len(d.config.Directory.Sources)-1)
	for _, n := range m.kinds {
		where := n.first.place()
		if n.count > 1 {
			where = fmt.Sprintf("%s and %s of it: see %s", where, counted(n.count-1, "more line"), name)
		} else {
			where += ": " + n.first.text()
		}
		if n.kind == noteDecide {
			d.counts.decide++
		} else {
			d.counts.without += n.count
		}
		d.comment(key, "%s: %s: %s", where, n.kind, n.why)
	}
	return key
}
