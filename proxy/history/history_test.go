package history

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"portico/proxy/relay"
)

// site counts as a node does, and records it.
type site struct {
	*History
	now    int64
	counts Counts
}

func newSite(limit int) *site { return &site{New(limit, 0), 0, make(Counts)} }

// commands counts finished commands of a group.
func (s *site) commands(kind Kind, name, verb string, n int, took time.Duration) {
	of := s.counts.Of(kind, name)
	if of.Commands[verb] == nil {
		of.Commands[verb] = new(relay.Histogram)
	}
	for range n {
		of.Commands[verb].Observe(int64(took))
	}
}

// record lets time pass and records a copy of the counters.
func (s *site) record(d time.Duration) {
	s.now += int64(d)
	copied := make(Counts)
	for g, c := range s.counts {
		to := copied.Of(g.Kind, g.Name)
		to.Traffic = c.Traffic
		maps.Copy(to.SignIns, c.SignIns)
		maps.Copy(to.Errors, c.Errors)
		for verb, h := range c.Commands {
			kept := *h
			to.Commands[verb] = &kept
		}
	}
	s.Record(s.now, copied)
}

// windows answers a query.
func (s *site) windows(q Query) []Window { return slices.Collect(s.Windows(q, s.now)) }

// window is the answer in one window.
func (s *site) window(t *testing.T, q Query) Window {
	t.Helper()
	all := s.windows(q)
	if len(all) != 1 {
		t.Fatalf("%d windows", len(all))
	}
	return all[0]
}

// shown writes the rows of a window in a line.
func shown(w Window) (text string) {
	for _, name := range slices.Sorted(maps.Keys(w.Rows)) {
		r := w.Rows[name]
		text += fmt.Sprintf("%s: %d sessions, %d queued, %d+%d bytes, %v, %d commands in %v; ", name, r.Sessions,
			r.Queued, r.ClientBytes, r.ServerBytes, r.SignIns, r.Times.Count, time.Duration(r.Times.Sum))
	}
	return text
}

// An answer adds up what was counted in its span, by what it is asked for.
func TestWindows(t *testing.T) {
	s := newSite(1 << 20)
	s.counts.Of(Server, "mbx1").Traffic = relay.Traffic{Sessions: 7, Queued: 2, ClientBytes: 100, ServerBytes: 1000}
	s.counts.Of(Server, "mbx1").SignIns["signed_in"] = 3
	s.commands(Server, "mbx1", "FETCH", 10, 20*time.Millisecond)
	s.commands(Server, "mbx1", "NOOP", 5, time.Millisecond)
	s.commands(Server, "mbx2", "FETCH", 1, time.Second)
	s.commands(Server, "", "LOGIN", 4, time.Second)
	s.commands(Database, "db1", "", 15, time.Millisecond)
	s.commands(Listener, ":143", "", 16, time.Millisecond)
	s.record(Interval)
	s.counts.Of(Server, "mbx1").Traffic = relay.Traffic{Sessions: 6, ClientBytes: 110, ServerBytes: 1000}
	s.counts.Of(Server, "mbx1").SignIns["bad_credential"] = 1
	s.commands(Server, "mbx1", "NOOP", 1, time.Millisecond)
	s.record(Interval)
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{Since: time.Minute}, "mbx1: 6 sessions, 0 queued, 110+1000 bytes, map[bad_credential:1 signed_in:3], " +
			"16 commands in 206ms; mbx2: 0 sessions, 0 queued, 0+0 bytes, map[], 1 commands in 1s; "},
		{Query{Since: Interval}, "mbx1: 6 sessions, 0 queued, 10+0 bytes, map[bad_credential:1], 1 commands in 1ms; "},
		{Query{By: ByDatabase, Since: time.Minute},
			"db1: 0 sessions, 0 queued, 0+0 bytes, map[], 15 commands in 15ms; "},
		{Query{By: ByListener, Since: time.Minute},
			":143: 0 sessions, 0 queued, 0+0 bytes, map[], 16 commands in 16ms; "},
		{Query{By: ByVerb, Since: time.Minute, Rows: 2},
			"FETCH: 0 sessions, 0 queued, 0+0 bytes, map[], 11 commands in 1.2s; " +
				"NOOP: 0 sessions, 0 queued, 0+0 bytes, map[], 6 commands in 6ms; "},
		{Query{By: ByVerb, Server: "mbx2", Since: time.Minute},
			"FETCH: 0 sessions, 0 queued, 0+0 bytes, map[], 1 commands in 1s; "},
		{Query{Verb: "FETCH", Since: time.Minute},
			"mbx1: 0 sessions, 0 queued, 0+0 bytes, map[], 10 commands in 200ms; " +
				"mbx2: 0 sessions, 0 queued, 0+0 bytes, map[], 1 commands in 1s; "},
	} {
		if got := shown(s.window(t, c.q)); got != c.want {
			t.Errorf("%+v:\n%s, want\n%s", c.q, got, c.want)
		}
	}
}

// Errors are those of the verbs and servers that are asked for, in their span, also where samples were merged or
// counters have begun again.
func TestErrors(t *testing.T) {
	s := newSite(1 << 20)
	count := func(server, verb string, commands int, errors uint64) {
		s.commands(Server, server, verb, commands, time.Millisecond)
		s.counts.Of(Server, server).Errors[verb] += errors
	}
	count("mbx1", "FETCH", 200, 150)
	count("mbx1", "NOOP", 20, 0)
	count("mbx2", "FETCH", 10, 1)
	s.record(Interval)
	count("mbx1", "FETCH", 10, 4)
	s.record(Interval)
	s.coarsen()
	s.counts = make(Counts)
	count("mbx1", "FETCH", 5, 3)
	s.record(Interval)
	for _, c := range []struct {
		q    Query
		want map[string]uint64
	}{
		{Query{Since: time.Minute}, map[string]uint64{"mbx1": 157, "mbx2": 1}},
		{Query{By: ByVerb, Since: time.Minute}, map[string]uint64{"FETCH": 158, "NOOP": 0}},
		{Query{By: ByVerb, Server: "mbx2", Since: time.Minute}, map[string]uint64{"FETCH": 1}},
		{Query{Verb: "NOOP", Since: time.Minute}, map[string]uint64{"mbx1": 0}},
		{Query{Since: Interval}, map[string]uint64{"mbx1": 3}},
	} {
		got := make(map[string]uint64)
		for name, row := range s.window(t, c.q).Rows {
			got[name] = row.Errors
		}
		if !maps.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.q, got, c.want)
		}
	}
}

// A series has a window for each step, at multiples of it, so that the next answer has the same windows.
func TestSeries(t *testing.T) {
	s := newSite(1 << 20)
	for i := range 12 {
		s.commands(Server, "mbx1", "NOOP", i, time.Millisecond)
		s.record(Interval)
	}
	q := Query{Since: time.Minute, Step: 20 * time.Second}
	var counts []uint64
	for _, w := range s.windows(q) {
		counts = append(counts, w.Rows["mbx1"].Times.Count)
	}
	// windows end at 15, 35, 55 and 60 s: the sample that ends at 20 s belongs to the next one
	if want := []uint64{0 + 1 + 2, 3 + 4 + 5 + 6, 7 + 8 + 9 + 10, 11}; !slices.Equal(counts, want) {
		t.Errorf("%v, want %v", counts, want)
	}
	before := s.windows(q)
	s.record(Interval)
	if after := s.windows(q); shown(after[1]) != shown(before[1]) || after[1].From != before[1].From+Interval {
		t.Errorf("a window has changed: %v, before %v", after[1], before[1])
	}
}

// After an hour the oldest samples go.
func TestRollOver(t *testing.T) {
	s := newSite(1 << 20)
	for range 2 * int(Length/Interval) {
		s.commands(Server, "mbx1", "NOOP", 1, time.Millisecond)
		s.record(Interval)
	}
	w := s.window(t, Query{Since: 2 * time.Hour})
	if w.From != Length || w.To != 0 || w.Rows["mbx1"].Times.Count != uint64(Length/Interval) {
		t.Errorf("from %v to %v ago, %s", w.From, w.To, shown(w))
	}
}

// A sample that comes late, because the machine was busy or asleep, has a longer span. Time that does not pass makes
// no sample.
func TestLateSamples(t *testing.T) {
	s := newSite(1 << 20)
	s.commands(Server, "mbx1", "NOOP", 1, time.Millisecond)
	s.record(Interval)
	s.commands(Server, "mbx1", "NOOP", 60, time.Millisecond)
	s.record(time.Minute)
	s.record(0)
	s.record(-time.Hour)
	s.now += int64(time.Hour)
	if w := s.window(t, Query{Since: 30 * time.Second}); w.From != time.Minute || w.Rows["mbx1"].Times.Count != 60 {
		t.Errorf("from %v ago, %s", w.From, shown(w))
	}
}

// Counters that begin at zero again, as those of a relay that was started again, do not become negative.
func TestCountersThatBeginAgain(t *testing.T) {
	s := newSite(1 << 20)
	s.counts.Of(Server, "mbx1").ClientBytes = 1000
	s.counts.Of(Server, "mbx1").SignIns["signed_in"] = 10
	s.commands(Server, "mbx1", "NOOP", 100, time.Millisecond)
	s.record(Interval)
	s.counts = make(Counts)
	s.counts.Of(Server, "mbx1").ClientBytes = 7
	s.counts.Of(Server, "mbx1").SignIns["signed_in"] = 1
	s.commands(Server, "mbx1", "NOOP", 2, time.Millisecond)
	s.record(Interval)
	want := "mbx1: 0 sessions, 0 queued, 7+0 bytes, map[signed_in:1], 2 commands in 2ms; "
	if got := shown(s.window(t, Query{Since: Interval})); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A server that is added has figures from then on. One that is removed has no sessions any more, and its figures go
// with time.
func TestServersComeAndGo(t *testing.T) {
	s := newSite(1 << 20)
	s.counts.Of(Server, "old").Sessions = 5
	s.record(Interval)
	delete(s.counts, Group{Server, "old"})
	s.counts.Of(Server, "new").Sessions = 2
	s.record(Interval)
	added := "new: 2 sessions, 0 queued, 0+0 bytes, map[], 0 commands in 0s; "
	removed := "old: 0 sessions, 0 queued, 0+0 bytes, map[], 0 commands in 0s; "
	if got := shown(s.window(t, Query{Since: time.Minute})); got != added+removed {
		t.Error(got)
	}
	if got := shown(s.window(t, Query{Since: Interval})); got != added {
		t.Errorf("later: %s", got)
	}
}

// Where samples are merged, sessions and queued commands are those at the end, also of a server that is idle then.
func TestMergedGauges(t *testing.T) {
	s := newSite(1 << 20)
	s.counts.Of(Server, "mbx1").Traffic = relay.Traffic{Sessions: 5, Queued: 1, ClientBytes: 10}
	s.counts.Of(Server, "mbx2").Sessions = 3
	s.record(Interval)
	s.counts.Of(Server, "mbx1").Sessions, s.counts.Of(Server, "mbx1").Queued = 0, 0
	s.counts.Of(Server, "mbx2").Sessions = 4
	s.record(Interval)
	if !s.coarsen() || len(s.samples) != 1 {
		t.Fatalf("%d samples", len(s.samples))
	}
	want := "mbx1: 0 sessions, 0 queued, 10+0 bytes, map[], 0 commands in 0s; " +
		"mbx2: 4 sessions, 0 queued, 0+0 bytes, map[], 0 commands in 0s; "
	if got := shown(s.window(t, Query{Since: time.Minute})); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
