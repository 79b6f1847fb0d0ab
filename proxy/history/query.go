package history

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"portico/proxy/relay"
)

// By is what the rows of an answer are.
type By uint8

// A row for each mailbox server, database, listener or verb.
const (
	ByServer By = iota
	ByDatabase
	ByListener
	ByVerb
)

// Query asks for what was counted in the latest Since.
type Query struct {
	By     By
	Server string // narrows ByServer and ByVerb to one mailbox server
	Verb   string // narrows them to one verb
	Since  time.Duration
	Step   time.Duration // of each window; 0 for a single window
	Rows   int           // at most, those with most commands in all windows together; 0 for all
}

// Window is what was counted in a span of time.
type Window struct {
	From, To time.Duration // how long ago
	Rows     map[string]*Row
}

// Row is what was counted of a mailbox server, a database, a listener or a verb. Of a verb, and with the filter for
// one, there are only Times and Errors.
type Row struct {
	relay.Traffic // Sessions and Queued are those at the end
	SignIns       map[string]uint64
	Times         relay.Histogram // of the commands; without Classic
	Errors        uint64          // of the commands of mailbox servers, those that ended with NO or BAD
}

// Windows answers a query, the oldest window first. A window without any sample is missing. Where samples were merged,
// windows are longer than Step. The caller owns what it gets.
func (h *History) Windows(q Query, now int64) iter.Seq[Window] {
	return func(yield func(Window) bool) {
		samples, names := h.latest(now-int64(q.Since), now)
		wanted := busiest(q, samples, names)
		for len(samples) > 0 {
			n := 1
			for n < len(samples) && q.together(samples[0], samples[n]) {
				n++
			}
			if !yield(sum(q, wanted, samples[:n], names, now)) {
				return
			}
			samples = samples[n:]
		}
	}
}

// latest returns the samples that have ended in a span of time, and the names in them.
func (h *History) latest(from, to int64) ([]sample, []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.samples), func(s sample) bool { return s.end <= from || s.end > to }),
		h.names.list
}

// together says whether two samples are in one window. Windows are the same in the next answer, and on other nodes
// whose clocks agree.
func (q Query) together(a, b sample) bool {
	return q.Step == 0 || WindowAt(a.end, q.Step) == WindowAt(b.end, q.Step)
}

// WindowAt returns the number of the window that has what was counted until a time, in nanoseconds of the clock of
// Record. Half an interval makes up for clocks that differ a little.
func WindowAt(end int64, step time.Duration) int64 { return (end + int64(Interval/2)) / int64(step) }

// busiest returns the names of the q.Rows rows with most commands, or nil for all.
func busiest(q Query, samples []sample, names []string) map[string]bool {
	if q.Rows == 0 || len(samples) == 0 {
		return nil
	}
	rows := sum(q, nil, samples, names, 0).Rows
	ranked := slices.SortedFunc(maps.Keys(rows), func(a, b string) int {
		return cmp.Or(cmp.Compare(rows[b].Times.Count, rows[a].Times.Count), cmp.Compare(a, b))
	})
	wanted := make(map[string]bool)
	for _, name := range ranked[:min(q.Rows, len(ranked))] {
		wanted[name] = true
	}
	return wanted
}

// sum adds samples up that follow each other. wanted are the names of the rows, nil for all.
func sum(q Query, wanted map[string]bool, samples []sample, names []string, now int64) Window {
	first, last := samples[0], samples[len(samples)-1]
	w := Window{From: time.Duration(now - first.end + first.span), To: time.Duration(now - last.end),
		Rows: make(map[string]*Row)}
	row := func(name string) *Row {
		if name == "" || wanted != nil && !wanted[name] {
			return nil
		}
		if w.Rows[name] == nil {
			w.Rows[name] = &Row{SignIns: make(map[string]uint64)}
		}
		return w.Rows[name]
	}
	ofVerb := func(g Group, verb string) *Row {
		switch {
		case !q.covers(g) || q.Verb != "" && verb != q.Verb:
			return nil
		case q.By == ByVerb:
			return row(verb)
		}
		return row(g.Name)
	}
	to := sums{
		of: func(g Group) (*relay.Traffic, map[string]uint64) {
			if !q.covers(g) || q.By == ByVerb || q.Verb != "" {
				return nil, nil
			}
			if r := row(g.Name); r != nil {
				return &r.Traffic, r.SignIns
			}
			return nil, nil
		},
		times: func(g Group, verb string) *relay.Histogram {
			if r := ofVerb(g, verb); r != nil {
				return &r.Times
			}
			return nil
		},
		errors: func(g Group, verb string, n uint64) {
			if r := ofVerb(g, verb); r != nil {
				r.Errors += n
			}
		},
	}
	for _, s := range samples {
		for _, r := range w.Rows { // a group that the sample leaves out is idle at its end
			r.Sessions, r.Queued = 0, 0
		}
		(&reader{s.data, names}).read(to)
	}
	return w
}

// covers says whether a group counts for the answer.
func (q Query) covers(g Group) bool {
	switch q.By {
	case ByDatabase:
		return g.Kind == Database
	case ByListener:
		return g.Kind == Listener
	}
	return g.Kind == Server && (q.Server == "" || g.Name == q.Server)
}
