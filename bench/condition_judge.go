package bench

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Judgement is the result of a condition that fails a run.
type Judgement struct {
	Condition string   `json:"condition"`
	Failed    bool     `json:"failed"`
	Measured  *float64 `json:"measured"` // in Unit; null if nothing was measured, which fails the run
	Unit      string   `json:"unit"`     // us, errors, part or per second
	AtLeast   bool     `json:"at_least,omitempty"`
	Text      string   `json:"text"` // what was measured, for people
}

// judge evaluates the conditions that fail the run, in order.
func (r *Report) judge(failing []Condition) {
	r.Conditions = nil
	for _, c := range failing {
		m := r.measure(c)
		j := Judgement{Condition: c.text, Unit: c.unit(), AtLeast: m.atLeast, Text: m.text(c), Failed: !m.known}
		if m.known {
			j.Measured = &m.value
			met, sure := m.meets(c)
			j.Failed = met || !sure
			if !sure {
				j.Text += ", and it may be more"
			}
		}
		r.Conditions = append(r.Conditions, j)
	}
	r.judgesErrors = false
	for _, c := range failing {
		r.judgesErrors = r.judgesErrors || c.measure == measureErrors && c.what == ""
	}
}

// measured is the value of a condition's figure.
type measured struct {
	value   float64
	known   bool // something was measured
	atLeast bool // the value is a lower bound
}

// meets reports whether the figure meets the condition, and whether that is certain: a lower bound may hide a greater
// value.
func (m measured) meets(c Condition) (met, sure bool) {
	met = c.compare.holds(m.value, c.limit)
	if !m.atLeast {
		return met, true
	}
	switch c.compare {
	case ">", ">=":
		return met, met
	case "<", "<=":
		return met, !met
	}
	return met, m.value > c.limit
}

// measure returns the figure of a condition. For several rows, latencies are those of all their commands together.
func (r *Report) measure(c Condition) measured {
	var rows []Row
	for _, row := range r.Rows {
		if c.takes(row) {
			rows = append(rows, row)
		}
	}
	switch {
	case c.measure == measureErrors:
		return r.measureErrors(c, rows)
	case c.measure == measureRate:
		return measured{value: rateOf(rows), known: len(rows) > 0 || c.what == ""}
	}
	var d distribution
	for _, row := range rows {
		d.add(row.Latencies)
	}
	if d.all == nil || d.all.TotalCount() == 0 {
		return measured{}
	}
	switch c.measure {
	case measureMean:
		return measured{d.all.Mean(), true, d.done.TotalCount() < d.all.TotalCount()}
	case measureMax:
		us, atLeast := d.most()
		return measured{float64(us), true, atLeast}
	}
	us, atLeast := d.at(c.percent)
	return measured{float64(us), true, atLeast}
}

func rateOf(rows []Row) (sum float64) {
	for _, row := range rows {
		sum += row.PerSecond
	}
	return sum
}

// measureErrors counts the errors of the whole run or of the rows. A part is relative to the operations due or the
// commands sent.
func (r *Report) measureErrors(c Condition, rows []Row) measured {
	var bad, all uint64
	for _, row := range rows {
		bad, all = bad+row.Errors, all+row.Count
	}
	if c.what == "" {
		all = r.Totals.OperationOutcomes.All
		if bad = r.Totals.Errors; c.share {
			bad = r.Totals.OperationOutcomes.Bad()
		}
		return measured{value: c.ofAll(bad, all), known: !c.share || all > 0}
	}
	return measured{value: c.ofAll(bad, all), known: all > 0}
}

func (c Condition) ofAll(bad, all uint64) float64 {
	if c.share {
		return per(float64(bad), float64(all))
	}
	return float64(bad)
}

func (c Condition) unit() string {
	switch {
	case c.measure == measureRate:
		return "per second"
	case c.measure == measureErrors && c.share:
		return "part"
	case c.measure == measureErrors:
		return "errors"
	}
	return "us"
}

// text formats what was measured.
func (m measured) text(c Condition) string {
	text := ""
	switch {
	case !m.known:
		return "nothing was measured"
	case c.measure == measureRate:
		text = short(m.value) + " a second"
	case c.measure == measureErrors && c.share:
		text = fmt.Sprintf("%.3g %%", 100*m.value)
	case c.measure == measureErrors:
		text = short(m.value)
	default:
		text = micros(int64(m.value))
	}
	if m.atLeast {
		return "at least " + text
	}
	return text
}

// FailedConditions returns the conditions that the run has failed.
func (r *Report) FailedConditions() []Judgement {
	var failed []Judgement
	for _, j := range r.Conditions {
		if j.Failed {
			failed = append(failed, j)
		}
	}
	return failed
}

// writeConditions writes the result of each condition.
func (r *Report) writeConditions(b *strings.Builder) {
	if len(r.Conditions) == 0 {
		return
	}
	fmt.Fprintf(b, "\nconditions: %d of %d failed\n", len(r.FailedConditions()), len(r.Conditions))
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, j := range r.Conditions {
		fmt.Fprintf(t, "  %s\t%s\tmeasured: %s\n", j.Verdict(), j.Condition, j.Text)
	}
	t.Flush() // into memory
}

// Verdict is FAILED or passed.
func (j Judgement) Verdict() string {
	if j.Failed {
		return "FAILED"
	}
	return "passed"
}
