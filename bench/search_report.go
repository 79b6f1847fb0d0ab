package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// Fine reports whether the search found a rate that holds, and the run at that rate failed no condition.
func (s *Search) Fine() bool { return s.Found > 0 && len(s.Best.FailedConditions()) == 0 }

// Undecided reports whether the tool was short of CPU before any rate held.
func (s *Search) Undecided() bool { return s.Found == 0 && s.ToolLimit }

// ToolShort reports whether the tool was short of CPU at the end of the search, or in its best step.
func (s *Search) ToolShort() bool { return s.ToolLimit || s.Best != nil && s.Best.Tool.Short() }

// Names lists the rates that were tried.
func (s *Search) Names() []string {
	names := make([]string, len(s.Steps))
	for i, step := range s.Steps {
		names[i] = short(step.Rate)
	}
	return names
}

// Verdict returns the result in one line.
func (s *Search) Verdict() string {
	what := strings.Join(s.Conditions, ", ")
	switch {
	case s.Undecided():
		return fmt.Sprintf("the search could not decide whether a rate holds %s; %s", what, s.End)
	case s.Found == 0:
		return fmt.Sprintf("no rate was found at which %s; %s", what, s.End)
	case s.ToolLimit || s.EndedEarly || s.Failed == 0:
		return fmt.Sprintf("at least %s operations a second%s hold %s, with %d sessions; %s", short(s.Found),
			s.speed(), what, s.Sessions, s.End)
	}
	return fmt.Sprintf("%s operations a second%s hold %s, with %d sessions; %s do not; %s", short(s.Found),
		s.speed(), what, s.Sessions, short(s.Failed), s.End)
}

// speed returns the speed of a recording that the found rate stands for.
func (s *Search) speed() string {
	if s.speedOne == 0 {
		return ""
	}
	return fmt.Sprintf(" (speed %s of the recording)", short(s.speedAt(s.Found)))
}

// WriteTable writes the steps and the report of the best one as text.
func (s *Search) WriteTable(w io.Writer) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "step\tdue a second\tdone a second\tp50\tp99\terrors\toutcome\t")
	for i, step := range s.Steps {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%d\t%s\t\n", i+1, step.Due(), short(step.Done), step.P50, step.P99,
			step.Errors, step.Text())
	}
	t.Flush() // into memory
	fmt.Fprintf(&b, "result: %s\n", s.Verdict())
	if s.Best != nil {
		fmt.Fprintf(&b, "\nthe run at %s a second:\n", short(s.Best.Setup.Rate))
	}
	if _, err := io.WriteString(w, b.String()); err != nil || s.Best == nil {
		return err
	}
	return s.Best.WriteTable(w)
}

// Due returns the rate of the step, and the speed of a replay.
func (s Step) Due() string {
	if s.Speed == 0 {
		return short(s.Rate)
	}
	return fmt.Sprintf("%s (speed %s)", short(s.Rate), short(s.Speed))
}

// Text returns the step's outcome with its reasons.
func (s Step) Text() string {
	if s.Reasons == "" {
		return s.Outcome
	}
	return s.Outcome + " (" + s.Reasons + ")"
}

// WriteJSON writes the search as JSON.
func (s *Search) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(s)
}

// WriteHTML writes the search and the report of its best run as one page.
func (s *Search) WriteHTML(w io.Writer) error {
	if s.Best == nil {
		return fmt.Errorf("no step was made, so there is no report")
	}
	return s.Best.writePage(w, s)
}

// Plot shows the figure of the search over the rate.
func (s *Search) Plot() *plot {
	steps := slices.Clone(s.Steps)
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(a.Rate, b.Rate) })
	p := &plot{Title: "Latency by rate", Note: "each step of the search by its operations due a second; logarithmic"}
	all := plotLine{Name: s.figure.name(), Class: "s0"}
	held := plotLine{Name: "held", Class: "s2", dots: true}
	failed := plotLine{Name: "did not hold", Class: "bad", dots: true}
	low, high := math.Inf(1), 1.0
	for _, step := range steps {
		all.add(step.Rate, step.Figure)
		if step.Outcome == stepHeld {
			held.add(step.Rate, step.Figure)
		} else {
			failed.add(step.Rate, step.Figure)
		}
		low, high = min(low, max(1, step.Figure)), max(high, step.Figure)
	}
	p.Lines = []plotLine{all, held, failed}
	right := 1.0
	if len(steps) > 0 {
		right = steps[len(steps)-1].Rate
	}
	if s.figure.limit > 0 {
		limit := plotLine{Name: "limit", Class: "s5"}
		limit.add(0, s.figure.limit)
		limit.add(right, s.figure.limit)
		p.Lines = append(p.Lines, limit)
		low, high = min(low, s.figure.limit), max(high, s.figure.limit)
	}
	p.x, p.y = linearAxis(0, right, true, axisCount), logAxis(low, high, axisMicros)
	return p
}

func (l *plotLine) add(x, y float64) { l.x, l.y = append(l.x, x), append(l.y, y) }

// name says what the condition looks at.
func (c Condition) name() string {
	what := cmp.Or(strings.ToLower(c.what), "operations")
	switch c.measure {
	case measureMean:
		return what + " mean"
	case measureMax:
		return what + " max"
	}
	return fmt.Sprintf("%s p%g", what, c.percent)
}
