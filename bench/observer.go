package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxPoints is the approximate highest number of points of a series.
const maxPoints = 600

// Progress is the current state of a run.
type Progress struct {
	Elapsed   time.Duration
	Left      time.Duration // of the measured time, or of the warm-up
	WarmingUp bool
	Measuring bool
	Sessions  int           // signed in
	PerSecond float64       // commands done
	P50, P99  time.Duration // of commands
	Errors    uint64        // so far
	Behind    int64         // operations that are due and not begun
}

// Point is one step of a series.
type Point struct {
	At        float64 `json:"at_s"` // seconds since the measured time began; before that, less than 0
	Length    float64 `json:"length_s"`
	Sessions  int     `json:"sessions"`
	PerSecond float64 `json:"commands_per_second"`
	P50       int64   `json:"p50_us"`
	P99       int64   `json:"p99_us"`
	Max       int64   `json:"max_us"`
	Errors    uint64  `json:"errors"`
	In        uint64  `json:"bytes_in"`
	Out       uint64  `json:"bytes_out"`
	Behind    int64   `json:"backlog"`
}

// observer samples a run in steps.
type observer struct {
	engine  *engine
	began   time.Time
	step    time.Duration
	since   time.Time               // beginning of the step under way
	total   uint64                  // errors so far
	recent  *hdrhistogram.Histogram // of the step under way
	maximum int64                   // backlog, the highest seen
	series  []timed
}

// timed is a point with the time it ended: when the measured time begins is known later.
type timed struct {
	at time.Time
	Point
}

func newObserver(e *engine, began time.Time) *observer {
	whole := e.options.Ramp + e.options.WarmUp + e.options.Duration
	return &observer{engine: e, began: began, since: began, recent: newHistogram(),
		step: max(whole/maxPoints, min(time.Second, max(whole/60, 100*time.Millisecond)))}
}

// run takes steps until it is stopped.
func (o *observer) run(stop <-chan struct{}) {
	ticker := time.NewTicker(o.step)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			o.look(now)
		case <-stop:
			o.look(time.Now())
			return
		}
	}
}

func (o *observer) look(now time.Time) {
	length := now.Sub(o.since)
	if length <= 0 {
		return
	}
	o.recent.Reset()
	t := tick{latencies: o.recent}
	o.engine.recorder.drain(&t)
	from := o.since
	o.since, o.recent = now, t.latencies
	if o.engine.options.Intervals != nil {
		o.engine.options.Intervals(newInterval(from, now, &t.rows))
	}
	o.total += t.errors
	joined := o.engine.joined.Load()
	o.engine.peak = max(o.engine.peak, joined)
	point := timed{now, Point{
		Length: length.Seconds(), Sessions: int(joined), PerSecond: float64(t.done) / length.Seconds(),
		P50: t.latencies.ValueAtQuantile(50), P99: t.latencies.ValueAtQuantile(99),
		Max:    t.latencies.ValueAtQuantile(100), // Max takes longer
		Errors: t.errors, In: t.in, Out: t.out, Behind: o.behind(now),
	}}
	if o.engine.hasStarted() && !now.Before(o.engine.measuredAt) {
		o.maximum = max(o.maximum, point.Behind)
	}
	// a short rest gives no rates, and what continues after the end does not count
	if len(o.series) < 4*maxPoints && length >= o.step/2 {
		o.series = append(o.series, point)
	}
	o.tell(now, point.Point)
}

// behind adds up the sessions' backlogs.
func (o *observer) behind(now time.Time) (sum int64) {
	if o.engine.isOver() {
		now = o.engine.endedAt.Add(-1) // none is due from then on
	}
	for _, s := range o.engine.sessions {
		if at := s.dueAt.Load(); at != 0 {
			sum += int64(behind(time.Duration(now.UnixNano()-at), s.schedule.interval))
		}
	}
	return sum
}

func (o *observer) tell(now time.Time, p Point) {
	if o.engine.options.Progress == nil {
		return
	}
	progress := Progress{
		Elapsed: now.Sub(o.began), Left: o.engine.options.Duration, Sessions: p.Sessions, PerSecond: p.PerSecond,
		P50: time.Duration(p.P50) * time.Microsecond, P99: time.Duration(p.P99) * time.Microsecond, Errors: o.total,
		Behind: p.Behind,
	}
	switch {
	case !o.engine.hasStarted():
	case now.Before(o.engine.measuredAt):
		progress.WarmingUp, progress.Left = true, o.engine.measuredAt.Sub(now)
	default:
		progress.Measuring, progress.Left = true, max(0, o.engine.planned.Sub(now))
	}
	o.engine.options.Progress(progress)
}
