package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Interval is what was counted in one step of a run. The intervals of a run add up to its report.
type Interval struct {
	From, To time.Time
	Rows     []IntervalRow // those in which something happened
}

// IntervalRow is one row of a report, in an interval.
type IntervalRow struct {
	Name      string
	Command   bool
	Operation bool
	Latencies *hdrhistogram.Histogram // in microseconds; of what was not done, how long it was waited for
	Outcomes  Outcomes
}

// intervalRow is what a shard keeps of a row between two steps.
type intervalRow struct {
	latencies *hdrhistogram.Histogram
	outcomes  outcomeCounts
}

func (r *intervalRow) record(d time.Duration, o outcome) {
	observe(&r.latencies, d)
	r.outcomes[o]++
}

// moveTo empties the row into another.
func (r *intervalRow) moveTo(to *intervalRow) {
	if r.latencies == nil {
		return
	}
	to.latencies = merged(to.latencies, r.latencies)
	to.outcomes.add(r.outcomes)
	*r = intervalRow{}
}

// newInterval makes the interval of a step.
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
