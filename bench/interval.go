package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Interval holds the counts of one step of a run. The intervals of a run add up to its report.
type Interval struct {
	From, To time.Time
	Rows     []IntervalRow // those in which something happened
}

// IntervalRow is one row of a report in one interval.
type IntervalRow struct {
	Name      string
	Command   bool
	Operation bool
	Latencies *hdrhistogram.Histogram // in microseconds; for what was not done, how long the session waited
	Outcomes  Outcomes
}

// intervalRow holds a shard's counts of a row between two steps.
type intervalRow struct {
	latencies *hdrhistogram.Histogram
	outcomes  outcomeCounts
}

func (r *intervalRow) record(d time.Duration, o outcome) {
	observe(&r.latencies, d)
	r.outcomes[o]++
}

// moveTo moves the counts to another row.
func (r *intervalRow) moveTo(to *intervalRow) {
	if r.latencies == nil {
		return
	}
	to.latencies = merged(to.latencies, r.latencies)
	to.outcomes.add(r.outcomes)
	*r = intervalRow{}
}

// newInterval returns the interval of a step.
func newInterval(from, to time.Time, rows *[numRows]intervalRow) Interval {
	i := Interval{From: from, To: to}
	for _, r := range rowOrder() {
		if row := rows[r]; row.latencies != nil {
			i.Rows = append(i.Rows, IntervalRow{r.String(), r.command(), r.operation(), row.latencies,
				row.outcomes.sum()})
		}
	}
	return i
}
