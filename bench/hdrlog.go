package bench

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// IntervalLog writes intervals as a histogram log that the tools of HdrHistogram read: a line for each row and
// interval, with the row as its tag, in the compressed V2 encoding. Values are nanoseconds, which those tools expect.
type IntervalLog struct {
	log *hdrhistogram.HistogramLogWriter
	err error // the first of writing
}

// NewIntervalLog begins a log. Times in it count from start.
func NewIntervalLog(w io.Writer, start time.Time, comment string) *IntervalLog {
	l := &IntervalLog{log: hdrhistogram.NewHistogramLogWriter(w)}
	ms := start.Truncate(time.Second).UnixMilli() // the head holds whole seconds
	l.log.SetBaseTime(ms)
	for _, write := range []func() error{
		func() error { return l.log.OutputComment(comment) }, l.log.OutputLogFormatVersion,
		func() error { return l.log.OutputBaseTime(ms) }, func() error { return l.log.OutputStartTime(ms) },
		l.log.OutputLegend,
	} {
		l.keep(write())
	}
	return l
}

// Write adds an interval.
func (l *IntervalLog) Write(i Interval) {
	for _, row := range i.Rows {
		h, err := nanoseconds(row.Latencies)
		l.keep(err)
		h.SetTag(strings.NewReplacer(",", "", " ", "-").Replace(row.Name))
		h.SetStartTimeMs(i.From.UnixMilli())
		h.SetEndTimeMs(i.To.UnixMilli())
		l.keep(l.log.OutputIntervalHistogram(h))
	}
}

// Err is the first error of writing.
func (l *IntervalLog) Err() error { return l.err }

func (l *IntervalLog) keep(err error) {
	if l.err == nil && err != nil {
		l.err = fmt.Errorf("histogram log: %w", err)
	}
}

// nanoseconds returns a histogram of microseconds with other units.
func nanoseconds(us *hdrhistogram.Histogram) (*hdrhistogram.Histogram, error) {
	const unit = int64(time.Microsecond)
	ns := hdrhistogram.New(unit, maxLatency.Nanoseconds()+maxLatency.Nanoseconds()/1000, latencyDigits)
	for _, bar := range us.Distribution() {
		if bar.Count == 0 {
			continue
		}
		if err := ns.RecordValues(min(bar.To, maxLatency.Microseconds())*unit, bar.Count); err != nil {
			return ns, err
		}
	}
	return ns, nil
}
