package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// maxRounds is the highest number of rounds of a comparison.
const maxRounds = 1000

// Contestant is one target of a comparison.
type Contestant struct {
	Name    string
	Options Options // its Account, if any, is of this contestant's processes
}

// Comparison is the result of the same work against several targets.
type Comparison struct {
	Rounds  int      `json:"rounds"` // that were begun
	Base    string   `json:"base"`   // the target that ratios refer to
	Results []Result `json:"results"`
	Errors  uint64   `json:"errors"`

	EndedEarly bool `json:"ended_early"`
	Planned    int  `json:"planned_rounds"`
}

// Result holds the rounds of one target.
type Result struct {
	Name    string            `json:"name"`
	Figures map[string]Figure `json:"figures"`
	Errors  uint64            `json:"errors"`
	// rounds in which something was not done, was wrong, or failed a condition
	Failed int `json:"rounds_failed"`
	// rounds in which the tool was short of CPU, so that latencies include its own delays
	Short   int       `json:"rounds_short_of_cpu"`
	Reports []*Report `json:"reports"` // one for each round
}

// Figure is one measure over all rounds that have it. For example, a round without any answer has no latency.
type Figure struct {
	Median float64   `json:"median"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
	Ratio  float64   `json:"ratio,omitempty"` // of the medians, to that of the base; 0 if there is none
	Rounds []float64 `json:"rounds"`
	Lacked int       `json:"rounds_without,omitempty"` // rounds without it
}

// figureOrder lists the measures in the order of the output. A run may not have all of them.
var figureOrder = []string{
	"operations a second", "commands a second", "p50 us", "p99 us", "CPU us a command", "CPU s a GB",
	"CPU us a sign-in", "Pss KiB a session",
}

// Compare runs the work of all contestants in each round, one after another. Each round begins with another
// contestant, so that other load on the machine affects all alike. told is called before each run; it may be nil. If
// ctx ends or a run is not possible, the comparison covers the runs until then; it is nil if there are none. The error
// is about a run that was not possible.
func Compare(ctx context.Context, contestants []Contestant, rounds int, base string, told func(round int,
	name string)) (*Comparison, error) {
	if rounds < 1 || rounds > maxRounds || len(contestants) == 0 {
		return nil, fmt.Errorf("compare: needs 1 to %d rounds and a target", maxRounds)
	}
	if base == "" {
		base = contestants[0].Name
	}
	if !slices.ContainsFunc(contestants, func(c Contestant) bool { return c.Name == base }) {
		return nil, fmt.Errorf("compare: no target is called %q", base)
	}
	reports := make([][]*Report, len(contestants))
	for run := range rounds * len(contestants) {
		round := run / len(contestants)
		which := (run + round) % len(contestants)
		c := contestants[which]
		if told != nil {
			told(round+1, c.Name)
		}
		report, err := Run(ctx, c.Options)
		if ctx.Err() != nil || err != nil {
			switch {
			case ctx.Err() == nil:
				err = fmt.Errorf("compare: %s: %w", c.Name, err)
			case report != nil && !report.EndedEarly:
				err, reports[which] = nil, append(reports[which], report)
			default:
				err = nil
			}
			return partOf(contestants, reports, rounds, base), err
		}
		reports[which] = append(reports[which], report)
	}
	return newComparison(contestants, reports, base), nil
}

// partOf compares the rounds of a comparison that did not do all. It returns nil if there are none.
func partOf(contestants []Contestant, reports [][]*Report, rounds int, base string) *Comparison {
	c := newComparison(contestants, reports, base)
	if c.Rounds == 0 {
		return nil
	}
	c.Planned = rounds
	c.EndedEarly = slices.ContainsFunc(reports, func(r []*Report) bool { return len(r) < rounds })
	return c
}

func newComparison(contestants []Contestant, reports [][]*Report, base string) *Comparison {
	c := &Comparison{Base: base}
	for _, of := range reports {
		c.Rounds = max(c.Rounds, len(of))
	}
	c.Planned = c.Rounds
	command := mainCommand(reports)
	for i, of := range contestants {
		r := Result{Name: of.Name, Figures: make(map[string]Figure), Reports: reports[i]}
		for _, report := range reports[i] {
			r.Errors += report.Totals.Errors
			if !report.Fine() {
				r.Failed++
			}
			if report.Tool.Short() {
				r.Short++
			}
		}
		c.Errors += r.Errors
		for _, name := range figureOrder {
			if f, ok := newFigure(reports[i], name, command); ok {
				r.Figures[name] = f
			}
		}
		c.Results = append(c.Results, r)
	}
	at := slices.IndexFunc(c.Results, func(r Result) bool { return r.Name == base })
	for _, r := range c.Results {
		for name, f := range r.Figures {
			f.Ratio = per(f.Median, c.Results[at].Figures[name].Median)
			r.Figures[name] = f
		}
	}
	return c
}

// mainCommand returns the command that was sent most often in all rounds of all targets. Its latencies are compared.
func mainCommand(reports [][]*Report) string {
	counts, most := make(map[string]uint64), ""
	for _, report := range slices.Concat(reports...) {
		for _, row := range report.Rows {
			if row.Command {
				counts[row.Name] += row.Count
			}
			if n := counts[row.Name]; n > counts[most] || n == counts[most] && row.Name < most {
				most = row.Name
			}
		}
	}
	return most
}

// newFigure reads one measure from the reports. It exists if any report has it.
func newFigure(reports []*Report, name, command string) (Figure, bool) {
	var f Figure
	for _, r := range reports {
		if value, ok := r.figure(name, command); ok {
			f.Rounds = append(f.Rounds, value)
		}
	}
	if len(f.Rounds) == 0 {
		return f, false
	}
	f.Lacked = len(reports) - len(f.Rounds)
	f.Median, f.Low, f.High = median(f.Rounds), slices.Min(f.Rounds), slices.Max(f.Rounds)
	return f, true
}

// figure returns a measure of one run, if the run has it. A rate of zero is a value; a quotient with divisor zero is
// not.
func (r *Report) figure(name, command string) (value float64, ok bool) {
	spent := r.Spent
	if spent == nil {
		spent = &Spent{}
	}
	main := r.mostFrequent(func(row Row) bool { return row.Name == command })
	switch name {
	case "operations a second":
		return r.Totals.OperationsPerSecond, true
	case "commands a second":
		return r.Totals.CommandsPerSecond, true
	case "p50 us":
		value = float64(main.P50)
	case "p99 us":
		value = float64(main.P99)
	case "CPU us a command":
		value = spent.PerCommand
	case "CPU s a GB":
		value = spent.PerGB
	case "CPU us a sign-in":
		value = spent.PerSignIn
	case "Pss KiB a session":
		return spent.PssPerSession / 1024, spent.Memory > 0 && r.Sessions.AtEnd > 0
	}
	return value, value > 0
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// Short reports whether the tool was short of CPU in any round.
func (c *Comparison) Short() bool {
	return slices.ContainsFunc(c.Results, func(r Result) bool { return r.Short > 0 })
}

// Fine reports whether no round of any target has failed.
func (c *Comparison) Fine() bool {
	return !slices.ContainsFunc(c.Results, func(r Result) bool { return r.Failed > 0 })
}

// writeFailedConditions names the conditions that rounds have failed, each with the last measured value.
func (r *Result) writeFailedConditions(b *strings.Builder) {
	rounds, last := make(map[string]int), make(map[string]Judgement)
	var order []string
	for _, report := range r.Reports {
		for _, j := range report.FailedConditions() {
			if rounds[j.Condition]++; rounds[j.Condition] == 1 {
				order = append(order, j.Condition)
			}
			last[j.Condition] = j
		}
	}
	for _, text := range order {
		fmt.Fprintf(b, "\n%s: FAILED %s in %d of %d rounds, measured at last: %s\n", r.Name, text, rounds[text],
			len(r.Reports), last[text].Text)
	}
}

// ratio formats a ratio.
func (f Figure) ratio() string {
	if f.Ratio == 0 {
		return "no ratio"
	}
	return fmt.Sprintf("%.3f x", f.Ratio)
}

// WriteTable writes the comparison for people.
func (c *Comparison) WriteTable(w io.Writer) error {
	var b strings.Builder
	if c.EndedEarly {
		fmt.Fprintf(&b, "ENDED EARLY, after %s of %d rounds\n", c.roundsText(), c.Planned)
	}
	fmt.Fprintf(&b, "medians of %d rounds in turns (lowest to highest), ratios to %s\n", c.Rounds, c.Base)
	for _, name := range figureOrder {
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		shown := false
		for _, r := range c.Results {
			f, ok := r.Figures[name]
			if !ok {
				continue
			}
			if !shown {
				fmt.Fprintf(&b, "\n%s\n", name)
				shown = true
			}
			lacked := ""
			if f.Lacked > 0 {
				lacked = fmt.Sprintf("not in %d of %d rounds", f.Lacked, len(r.Reports))
			}
			fmt.Fprintf(t, "%s\t%s\t(%s to %s)\t%s\t%s\t\n", r.Name, short(f.Median), short(f.Low), short(f.High),
				f.ratio(), lacked)
		}
		t.Flush() // into memory
	}
	for _, r := range c.Results {
		r.writeFailedConditions(&b)
		if r.Short > 0 {
			fmt.Fprintf(&b,
				"\n%s: the tool was short of CPU in %d of %d rounds: the latencies include its own delays\n", r.Name,
				r.Short, len(r.Reports))
		}
		if r.Errors > 0 {
			fmt.Fprintf(&b, "\n%s: %d errors\n", r.Name, r.Errors)
			worst := slices.MaxFunc(r.Reports,
				func(a, b *Report) int { return cmp.Compare(a.Totals.Errors, b.Totals.Errors) })
			for _, e := range worst.Errors {
				fmt.Fprintf(&b, "  %s: %d in the worst round, for example %s\n", e.Kind, e.Count, e.Samples[0])
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// roundsText says how many rounds each target has done.
func (c *Comparison) roundsText() string {
	texts := make([]string, len(c.Results))
	for i, r := range c.Results {
		texts[i] = fmt.Sprintf("%d (%s)", len(r.Reports), r.Name)
	}
	return strings.Join(texts, ", ")
}

// WriteJSON writes the comparison for machines.
func (c *Comparison) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(c)
}
