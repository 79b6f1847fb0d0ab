package history

import "portico/proxy/relay"

// Kind is a kind of group.
type Kind uint8

// The kinds. A session counts in one group of each.
const (
	Server Kind = iota
	Database
	Listener
)

// Group is what sessions have in common.
type Group struct {
	Kind Kind
	Name string // "" of Server: before sign-in; of Database: none
}

// Counters is what is counted of a group.
type Counters struct {
	relay.Traffic
	SignIns  map[string]uint64           // by result
	Commands map[string]*relay.Histogram // server times by verb; by "" where verbs are not told apart
	Errors   map[string]uint64           // of these commands, those that ended with NO or BAD; not by ""
}

// Counts is everything that is counted, at one time. Sessions and Queued are of that time, all else since the start.
type Counts map[Group]*Counters

// Of returns the counters of a group. It adds them if they are missing.
func (c Counts) Of(kind Kind, name string) *Counters {
	g := Group{kind, name}
	if c[g] == nil {
		c[g] = &Counters{SignIns: make(map[string]uint64), Commands: make(map[string]*relay.Histogram),
			Errors: make(map[string]uint64)}
	}
	return c[g]
}

// difference is what was counted between two times: all of now if before is nil.
type difference struct{ now, before *Counters }

// grown returns by how much a counter has grown. One that has become less has begun again at zero.
func grown(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// traffic returns the bytes between the two times, and the gauges of now.
func (d difference) traffic() relay.Traffic {
	t := d.now.Traffic
	if d.before != nil {
		t.ClientBytes = grown(t.ClientBytes, d.before.ClientBytes)
		t.ServerBytes = grown(t.ServerBytes, d.before.ServerBytes)
	}
	return t
}

// signIns returns how many sign-ins had a result.
func (d difference) signIns(result string) uint64 {
	if d.before == nil {
		return d.now.SignIns[result]
	}
	return grown(d.now.SignIns[result], d.before.SignIns[result])
}

// commands returns the histograms of a verb whose difference counts, or nil if no command has ended.
func (d difference) commands(verb string) (now, before *relay.Histogram) {
	now, before = d.now.Commands[verb], &none
	if d.before != nil && d.before.Commands[verb] != nil {
		before = d.before.Commands[verb]
	}
	switch {
	case now.Count == before.Count:
		return nil, nil
	case now.Count < before.Count: // it has begun again
		before = &none
	}
	return now, before
}

// errors returns how many commands of a verb ended with NO or BAD.
func (d difference) errors(verb string) uint64 {
	if d.before == nil {
		return d.now.Errors[verb]
	}
	return grown(d.now.Errors[verb], d.before.Errors[verb])
}

// none is an empty histogram. Nobody writes to it.
var none relay.Histogram

// numbers returns how many results and verbs have counted.
func (d difference) numbers() (results, verbs int) {
	for result := range d.now.SignIns {
		if d.signIns(result) > 0 {
			results++
		}
	}
	for verb := range d.now.Commands {
		if now, _ := d.commands(verb); now != nil {
			verbs++
		}
	}
	return results, verbs
}
