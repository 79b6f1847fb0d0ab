package bench

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
)

//go:embed report.html
var reportPage string

// mostLines is the highest number of lines in a plot of latencies; more would be indistinguishable.
const mostLines = 6

// WriteHTML writes the report as one self-contained page.
func (r *Report) WriteHTML(w io.Writer) error { return r.writePage(w, nil) }

// writePage writes the page of a run, which may be the best one of a search.
func (r *Report) writePage(w io.Writer, search *Search) error {
	page, err := template.New("report").Funcs(template.FuncMap{
		"micros": micros, "short": short, "bytes": bytesText,
		"mean":  func(us float64) string { return micros(int64(math.Round(us))) },
		"whole": func(n int64) float64 { return float64(n) },
	}).Parse(reportPage)
	if err != nil {
		return err
	}
	return page.Execute(w, map[string]any{
		"Report": r,
		"Plots":  []*plot{r.percentilePlot(), r.latencyPlot(), r.throughputPlot(), r.errorPlot()},
		"Main":   r.mainRows(),
		"Search": search,
	})
}

// ToolFacts returns the figures of the tool itself.
func (r *Report) ToolFacts() string { return r.Tool.facts(r.Seconds) }

// Circumstances describes the machine and the connections of the run.
func (r *Report) Circumstances() string { return r.Setup.circumstances() }

// mainRows are the operation and the command that occurred most often, as far as there are any.
func (r *Report) mainRows() []Row {
	var rows []Row
	for _, want := range []func(Row) bool{Row.operation, Row.isCommand} {
		if most := r.mostFrequent(want); most.Name != "" {
			rows = append(rows, most)
		}
	}
	return rows
}

func (r Row) operation() bool { return strings.HasSuffix(r.Name, wholeSuffix) }
func (r Row) isCommand() bool { return r.Command }

// mostFrequent returns the row with the highest count of those that want selects, or an empty one.
func (r *Report) mostFrequent(want func(Row) bool) (most Row) {
	for _, row := range r.Rows {
		if want(row) && (most.Name == "" || row.Count > most.Count) {
			most = row
		}
	}
	return most
}

// percentilePlot shows the distributions of the most frequent commands. Each step to the right covers a tenth of the
// requests.
func (r *Report) percentilePlot() *plot {
	rows := slices.Clone(r.Rows)
	slices.SortStableFunc(rows,
		func(a, b Row) int { return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(b.Count, a.Count)) })
	rows = rows[:min(len(rows), mostLines)]
	p := &plot{Title: "Latency by percentile",
		Note: "operations, then the commands sent most often; both axes logarithmic"}
	low, high, right := math.Inf(1), 1.0, 2.0
	for i, row := range rows {
		line := plotLine{Name: row.Name, Class: fmt.Sprintf("s%d", i), steps: true}
		for _, c := range row.Curve {
			if c.Percentile == 100 {
				continue // not on this axis; the table has it
			}
			line.x = append(line.x, nines(c.Percentile))
			line.y = append(line.y, float64(c.Latency))
			low, high, right = min(low, float64(c.Latency)), max(high, float64(c.Latency)), max(right,
				nines(c.Percentile))
		}
		p.Lines = append(p.Lines, line)
	}
	p.x = axis{low: 0, high: right, text: func(v float64) string {
		return fmt.Sprintf("%.6g%%", 100-math.Round(1e5*math.Pow(10, 2-v))/1e5)
	}}
	for _, percentile := range []float64{0, 50, 90, 99, 99.9, 99.99, 99.999} {
		if nines(percentile) <= right {
			p.x.ticks = append(p.x.ticks, nines(percentile))
		}
	}
	p.y = logAxis(low, high, axisMicros)
	return p
}

// rank puts operations first, and parts of signing in last.
func (r Row) rank() int {
	switch {
	case r.operation():
		return 0
	case r.Command:
		return 1
	}
	return 2
}

// nines is 1 for 90 percent, 2 for 99, 3 for 99.9.
func nines(percentile float64) float64 { return -math.Log10(1 - percentile/100) }

// overTime begins a plot with the series' time as its x axis.
func (r *Report) overTime(title, note string) (*plot, []float64) {
	p := &plot{Title: title, Note: note}
	var at []float64
	for _, point := range r.Series {
		at = append(at, point.At-point.Length/2)
	}
	low, high := 0.0, r.Seconds
	if len(at) > 0 {
		low, high = min(0, at[0]), max(high, at[len(at)-1])
	}
	p.x = linearAxis(low, high, false, func(v float64) string { return fmt.Sprintf("%.4g s", v) })
	return p, at
}

func (r *Report) latencyPlot() *plot {
	p, at := r.overTime("Latency over time",
		"all commands answered in each step; a gap where none was; logarithmic; before 0 s sessions sign in "+
			"and warm up")
	// the last on top
	lines := []plotLine{{Name: "max", Class: "s5"}, {Name: "p99", Class: "s1"}, {Name: "p50", Class: "s0"}}
	low, high := math.Inf(1), 1.0
	for i, point := range r.Series {
		for j, us := range []int64{point.Max, point.P99, point.P50} {
			lines[j].x = append(lines[j].x, at[i])
			if us == 0 {
				lines[j].y = append(lines[j].y, math.NaN())
				continue
			}
			lines[j].y = append(lines[j].y, float64(us))
			low, high = min(low, float64(us)), max(high, float64(us))
		}
	}
	p.Lines, p.y = lines, logAxis(low, high, axisMicros)
	return p
}

func (r *Report) throughputPlot() *plot {
	p, at := r.overTime("Throughput over time", "commands answered a second")
	line := plotLine{Name: "commands a second", Class: "s2", area: true, x: at}
	high := 1.0
	for _, point := range r.Series {
		line.y = append(line.y, point.PerSecond)
		high = max(high, point.PerSecond)
	}
	p.Lines, p.y = []plotLine{line}, linearAxis(0, high, true, axisCount)
	return p
}

func (r *Report) errorPlot() *plot {
	p, at := r.overTime("Errors over time", "errors in each step")
	line := plotLine{Name: "errors", Class: "bad", bars: true, x: at}
	high := 1.0
	for _, point := range r.Series {
		line.y = append(line.y, float64(point.Errors))
		high = max(high, float64(point.Errors))
	}
	p.Lines, p.y = []plotLine{line}, linearAxis(0, high, true, axisCount)
	// there is no half error
	p.y.ticks = slices.DeleteFunc(p.y.ticks, func(v float64) bool { return v != math.Trunc(v) })
	if r.Totals.Errors == 0 {
		p.Note = "there were none"
	}
	return p
}

// axisMicros formats a latency for an axis.
func axisMicros(us float64) string {
	switch {
	case us < 1e3:
		return fmt.Sprintf("%.3g us", us)
	case us < 1e6:
		return fmt.Sprintf("%.3g ms", us/1e3)
	}
	return fmt.Sprintf("%.3g s", us/1e6)
}

func axisCount(n float64) string {
	if n >= 10_000 {
		return fmt.Sprintf("%.4gk", n/1e3)
	}
	return fmt.Sprintf("%.4g", n)
}
