package bench

import (
	"slices"
	"strings"
)

// diffFigure is one figure that is compared, with its value in each round.
type diffFigure struct {
	name           string
	higherIsBetter bool
	judged         bool
	of             func(r *Report) (values []float64, bounded bool) // bounded: a value is a lower bound
}

// values returns the values of all rounds that have one.
func (f diffFigure) values(rounds []*Report) (all []float64) {
	for _, r := range rounds {
		values, _ := f.of(r)
		all = append(all, values...)
	}
	return all
}

// bounded reports whether any of the values is a lower bound.
func (f diffFigure) bounded(rounds []*Report) bool {
	return slices.ContainsFunc(rounds, func(r *Report) bool {
		_, bounded := f.of(r)
		return bounded
	})
}

// measuredFigure is a figure that a condition could name.
func measuredFigure(name string, c Condition, judged bool) diffFigure {
	return diffFigure{name, c.measure == measureRate, judged, func(r *Report) ([]float64, bool) {
		m := r.measure(c)
		if !m.known {
			return nil, false
		}
		return []float64{m.value}, m.atLeast
	}}
}

// roundFigures returns the figures of whole rounds. Whole operations and costs are judged. Commands only show where a
// change comes from.
func roundFigures(rounds []*Report) []diffFigure {
	figures := []diffFigure{
		measuredFigure("operations a second", Condition{measure: measureRate}, true),
		measuredFigure("operations p50 us", Condition{percent: 50}, true),
		measuredFigure("operations p99 us", Condition{percent: 99}, true),
	}
	for _, name := range []string{"CPU us a command", "CPU us a sign-in", "Pss KiB a session"} {
		figures = append(figures, diffFigure{name, false, name != "CPU us a sign-in",
			func(r *Report) ([]float64, bool) {
				if r.Spent == nil {
					return nil, false
				}
				value, known := r.figure(name, "")
				if !known {
					return nil, false
				}
				return []float64{value}, false
			}})
	}
	for _, row := range rounds[0].Rows {
		if row.operation() {
			continue
		}
		what := strings.ToUpper(row.Name)
		figures = append(figures,
			measuredFigure(row.Name+" p50 us", Condition{what: what, percent: 50}, false),
			measuredFigure(row.Name+" p99 us", Condition{what: what, percent: 99}, false))
	}
	return figures
}

// runParts is the number of parts of a single run.
const runParts = 10

// partFigures returns the figures of the parts of single runs, which only commands have, and those of the whole runs.
func partFigures(a, b *Report) []diffFigure {
	part := func(name string, higherIsBetter bool, of func([]Point) float64) diffFigure {
		return diffFigure{name, higherIsBetter, true, func(r *Report) (values []float64, bounded bool) {
			for _, points := range r.parts(min(runParts, len(a.measuredPoints()), len(b.measuredPoints()))) {
				values = append(values, of(points))
			}
			return values, r.Totals.CommandOutcomes.Bad() > 0
		}}
	}
	middle := func(of func(Point) float64) func([]Point) float64 {
		return func(points []Point) float64 {
			values := make([]float64, len(points))
			for i, p := range points {
				values[i] = of(p)
			}
			return median(values)
		}
	}
	figures := []diffFigure{
		part("commands a second", true, func(points []Point) float64 {
			var done, seconds float64
			for _, p := range points {
				done, seconds = done+p.PerSecond*p.Length, seconds+p.Length
			}
			return per(done, seconds)
		}),
		part("commands p50 us", false, middle(func(p Point) float64 { return float64(p.P50) })),
		part("commands p99 us", false, middle(func(p Point) float64 { return float64(p.P99) })),
	}
	for _, f := range roundFigures([]*Report{a}) {
		f.judged = false
		figures = append(figures, f)
	}
	return figures
}

// measuredPoints returns the steps of the measured time.
func (r *Report) measuredPoints() []Point {
	var points []Point
	for _, p := range r.Series {
		if p.At > p.Length/2 && p.At <= r.Seconds+p.Length/2 {
			points = append(points, p)
		}
	}
	return points
}

// parts splits the measured time into n parts with about the same number of steps.
func (r *Report) parts(n int) [][]Point {
	points := r.measuredPoints()
	parts := make([][]Point, 0, n)
	for i := range n {
		parts = append(parts, points[len(points)*i/n:len(points)*(i+1)/n])
	}
	return parts
}
