package admin

import (
	"maps"
	"slices"
	"time"

	"portico/proxy/history"
	"portico/proxy/relay"
)

// times is the histogram of which the row was made.
func (r *StatsRow) times() *relay.Histogram {
	h := &relay.Histogram{Sum: int64(r.Mean * float64(r.Commands) * 1e9)}
	for _, b := range r.Buckets {
		if i := b.Index - relay.NativeOffset; i >= 0 && i < len(h.Native) { // another node may send anything
			h.Native[i] += b.Count
			h.Count += b.Count
		}
	}
	return h
}

// statsSum adds rows up, which must have buckets.
type statsSum struct {
	row   StatsRow
	times relay.Histogram
}

func (s *statsSum) add(r StatsRow) {
	s.row.Sessions += r.Sessions
	s.row.Queued += r.Queued
	s.row.SignIns += r.SignIns
	s.row.ClientBytes += r.ClientBytes
	s.row.ServerBytes += r.ServerBytes
	for reason, n := range r.Refused {
		if s.row.Refused == nil {
			s.row.Refused = make(map[string]uint64)
		}
		s.row.Refused[reason] += n
	}
	s.times.Add(r.times())
}

// total returns the sum as a row.
func (s *statsSum) total(name string) StatsRow {
	row := s.row
	row.Name = name
	row.setTimes(&s.times)
	return row
}

// Total returns the sum of all rows, which must have buckets.
func (f StatsFigures) Total() StatsRow {
	var sum statsSum
	for _, r := range f.Rows {
		sum.add(r)
	}
	return sum.total("")
}

// MergeStats merges the figures of several nodes for the same span of time. Their rows must have buckets.
func MergeStats(nodes []StatsFigures) StatsFigures {
	merged := StatsFigures{Rows: []StatsRow{}}
	sums := make(map[string]*statsSum)
	for _, n := range nodes {
		if merged.From.IsZero() || n.From.Before(merged.From) {
			merged.From = n.From
		}
		if n.To.After(merged.To) {
			merged.To = n.To
		}
		merged.Seconds = max(merged.Seconds, n.Seconds)
		for _, r := range n.Rows {
			if sums[r.Name] == nil {
				sums[r.Name] = new(statsSum)
			}
			sums[r.Name].add(r)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		merged.Rows = append(merged.Rows, sums[name].total(name))
	}
	return merged
}

// MergeSeries merges the series of several nodes in spans of step. Their rows must have buckets. Where a node has made
// one span of several of long ago, it counts in the last of them.
func MergeSeries(nodes []StatsSeries, step time.Duration) StatsSeries {
	windows := make(map[int64][]StatsFigures)
	for _, n := range nodes {
		for _, p := range n.Points {
			at := history.WindowAt(p.To.UnixNano(), step)
			windows[at] = append(windows[at], p)
		}
	}
	merged := StatsSeries{Points: []StatsFigures{}}
	for _, at := range slices.Sorted(maps.Keys(windows)) {
		merged.Points = append(merged.Points, MergeStats(windows[at]))
	}
	return merged
}

// WithoutBuckets removes the histograms from the rows.
func (f StatsFigures) WithoutBuckets() {
	for i := range f.Rows {
		f.Rows[i].Buckets = nil
	}
}

// RefusedSignIns returns how many sign-ins were refused.
func (r StatsRow) RefusedSignIns() (all uint64) {
	for _, n := range r.Refused {
		all += n
	}
	return all
}
