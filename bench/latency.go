package bench

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept in microseconds, to three digits, up to an hour.
const (
	maxLatency    = time.Hour
	latencyDigits = 3
)

// boundTolerance is the largest error of a percentile without the mark of a lower bound.
const boundTolerance = 1.01

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, maxLatency.Microseconds(), latencyDigits)
}

// observe records a latency, and creates the histogram if it does not exist yet.
func observe(h **hdrhistogram.Histogram, d time.Duration) {
	if *h == nil {
		*h = newHistogram()
	}
	(*h).RecordValue(min(max(d.Microseconds(), 1), maxLatency.Microseconds())) // within bounds: it cannot fail
}

// rowRecord holds the counts and latencies of one row. For what did not end well, only a lower bound of the latency is
// known: the time that the session waited.
type rowRecord struct {
	done     *hdrhistogram.Histogram // nil is empty
	waited   *hdrhistogram.Histogram // likewise, of what did not end well
	measured outcomeCounts           // from the beginning of the measured time on
	before   outcomeCounts           // of sign-ins before that
}

func (r *rowRecord) record(d time.Duration, o outcome, before bool) {
	h := &r.waited
	if o.good() {
		h = &r.done
	}
	observe(h, d)
	if before {
		r.before[o]++
	} else {
		r.measured[o]++
	}
}

func (r *rowRecord) merge(o *rowRecord) {
	r.done, r.waited = merged(r.done, o.done), merged(r.waited, o.waited)
	r.measured.add(o.measured)
	r.before.add(o.before)
}

// merged adds o to h; either may be nil.
func merged(h, o *hdrhistogram.Histogram) *hdrhistogram.Histogram {
	if o == nil {
		return h
	}
	if h == nil {
		return o.Clone()
	}
	h.Merge(o)
	return h
}

// distribution calculates percentiles of latencies, of which some are only lower bounds.
type distribution struct {
	done *hdrhistogram.Histogram
	all  *hdrhistogram.Histogram // with the lower bounds
}

// add adds latencies.
func (d *distribution) add(l Latencies) {
	d.done = merged(d.done, l.done)
	d.all = merged(merged(d.all, l.done), l.waited)
	if d.all == nil {
		d.all = newHistogram()
	}
	if d.done == nil {
		d.done = newHistogram()
	}
}

// at returns the latency at a percentile in microseconds. It is a lower bound if answers that never came could have
// made it greater.
func (d distribution) at(percentile float64) (us int64, atLeast bool) {
	us = d.all.ValueAtQuantile(percentile)
	known, total := d.done.TotalCount(), d.all.TotalCount()
	if known == total {
		return us, false
	}
	// if the others had waited for ever, they would be greater than all known latencies
	rank := max(1, math.Floor(percentile/100*float64(total)+0.5))
	if rank > float64(known) {
		return us, true
	}
	longest := d.done.ValueAtQuantile(100 * rank / float64(known))
	return us, float64(longest) > boundTolerance*float64(us)
}

// most returns the longest latency. It is a lower bound if any answer never came.
func (d distribution) most() (us int64, atLeast bool) {
	return d.all.Max(), d.done.TotalCount() < d.all.TotalCount()
}
