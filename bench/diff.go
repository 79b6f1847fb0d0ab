package bench

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// DiffOptions say how certain and how large a difference must be.
type DiffOptions struct {
	Confidence float64 // of all judged figures together, between 0 and 1
	Tolerance  float64 // the smallest change that counts, as a part: 0.05 is 5 %
	Rivals     bool    // A and B are targets of one comparison, which may use TLS in different ways
}

// Diff compares two sets of rounds of the same work.
type Diff struct {
	Confidence float64 `json:"confidence"`
	Tolerance  float64 `json:"tolerance"`
	Rounds     [2]int  `json:"rounds"`
	// rounds are parts of a single run, so the intervals do not include differences between runs
	Parts      bool       `json:"parts_of_one_run"`
	Figures    []Change   `json:"figures"`
	NotDone    [2]float64 `json:"not_done"` // the part of the operations
	Errors     [2]uint64  `json:"errors"`   // of all rounds
	Short      [2]int     `json:"rounds_short_of_cpu"`
	Notes      []string   `json:"notes"`
	Regression bool       `json:"regression"`
	Undecided  bool       `json:"undecided"` // there are too few rounds to judge
}

// Change is the difference in one figure.
type Change struct {
	Name string  `json:"name"`
	A    float64 `json:"a"` // medians of the rounds
	B    float64 `json:"b"`
	shift
	Verdict string `json:"verdict"`
	Judged  bool   `json:"judged"` // counts for Regression
}

// The verdicts on a figure.
const (
	verdictWorse  = "WORSE"  // certain, by more than the tolerance
	verdictBetter = "better" // likewise
	verdictSame   = "same"   // certain, within the tolerance
	verdictOpen   = "open"   // uncertain
	verdictFew    = "too few rounds"
)

// NewDiff compares rounds B with rounds A. It returns an error if they did not do the same work.
func NewDiff(a, b []*Report, o DiffOptions) (*Diff, error) {
	if !(o.Confidence >= 0.5 && o.Confidence < 1) || !(o.Tolerance >= 0 && o.Tolerance < 1) {
		return nil, fmt.Errorf("confidence %.4g %% must be from 50 to below 100, and tolerance %.4g %% from 0 to "+
			"below 100", 100*o.Confidence, 100*o.Tolerance)
	}
	for name, rounds := range map[string][]*Report{"A": a, "B": b} {
		if i, j, same := sameRun(rounds); same {
			return nil, fmt.Errorf("rounds %d and %d of %s are of the same run", i, j, name)
		}
	}
	if err := sameWork(a, b, o.Rivals); err != nil {
		return nil, err
	}
	d := &Diff{Confidence: o.Confidence, Tolerance: o.Tolerance, Rounds: [2]int{len(a), len(b)}, Notes: notes(a, b)}
	for i, rounds := range [][]*Report{a, b} {
		var bad, due uint64
		for _, r := range rounds {
			bad, due = bad+r.Totals.OperationOutcomes.Bad(), due+r.Totals.OperationOutcomes.All
			d.Errors[i] += r.Totals.Errors
			if r.Tool.Short() {
				d.Short[i]++
			}
		}
		d.NotDone[i] = per(float64(bad), float64(due))
	}
	figures := roundFigures(a)
	if len(a) == 1 && len(b) == 1 {
		d.Parts = true
		figures = partFigures(a[0], b[0])
		d.Rounds = [2]int{len(figures[0].values(a)), len(figures[0].values(b))}
	}
	d.compare(figures, a, b)
	return d, nil
}

// compare judges the figures. It divides the confidence among them, so that it holds for all judged figures together.
func (d *Diff) compare(figures []diffFigure, a, b []*Report) {
	judged := 0
	for _, f := range figures {
		if f.judged && len(f.values(a)) > 0 && len(f.values(b)) > 0 {
			judged++
		}
	}
	confidence := 1 - (1-d.Confidence)/float64(max(judged, 1))
	for _, f := range figures {
		x, y := f.values(a), f.values(b)
		if len(x) == 0 || len(y) == 0 {
			continue
		}
		c := Change{Name: f.name, A: median(x), B: median(y), Judged: f.judged}
		var known bool
		if c.shift, known = newShift(x, y, confidence); known {
			c.Verdict = c.judge(f, d.Tolerance, f.bounded(a), f.bounded(b))
		} else {
			c.Verdict = verdictFew
			d.Undecided = d.Undecided || f.judged
		}
		d.Regression = d.Regression || f.judged && c.Verdict == verdictWorse
		d.Figures = append(d.Figures, c)
	}
	if d.Errors[1] > d.Errors[0] && d.NotDone[1] >= d.NotDone[0] {
		d.Regression = true
	}
}

// judge returns the verdict on a figure. It is worse if the whole interval lies beyond the tolerance. A lower bound
// may be worse than it looks, never better.
func (c *Change) judge(f diffFigure, tolerance float64, boundedA, boundedB bool) string {
	greater, smaller := c.Low > 1+tolerance, c.High < 1/(1+tolerance)
	worse, better := greater, smaller
	if f.higherIsBetter {
		worse, better = smaller, greater
	}
	switch {
	case worse && !boundedA:
		return verdictWorse
	case better && !boundedB:
		return verdictBetter
	case c.High <= 1+tolerance && c.Low >= 1/(1+tolerance) && !boundedA && !boundedB:
		return verdictSame
	}
	return verdictOpen
}

// sameWork refuses rounds that cannot be compared.
func sameWork(a, b []*Report, rivals bool) error {
	if len(a) == 0 || len(b) == 0 {
		return errors.New("no report to compare")
	}
	first := &a[0].Setup
	for i, r := range slices.Concat(a, b) {
		which := "B"
		if i < len(a) {
			which = "A"
		}
		s := &r.Setup
		different := append(differences(first.kind(), s.kind()), differences(first.size(), s.size())...)
		if !rivals {
			different = append(different, differences(first.tls(), s.tls())...)
		}
		if len(different) > 0 {
			return fmt.Errorf("not comparable: %s has another %s", which, strings.Join(different, "; another "))
		}
		if r.Seconds < 0.9*s.Duration {
			return fmt.Errorf("not comparable: a round of %s was ended after %s of %s s", which, short(r.Seconds),
				short(s.Duration))
		}
	}
	return nil
}

// notes lists what else differs besides the work.
func notes(a, b []*Report) []string {
	all := []string{}
	for _, c := range []struct {
		name string
		of   func(*Setup) string
	}{
		{"TLS", (*Setup).TLSText},
		{"targets", func(s *Setup) string { return strings.Join(s.Targets, ", ") }},
		{"versions of the tool", func(s *Setup) string { return s.Version }},
		{"machines", func(s *Setup) string { return s.Machine }},
	} {
		if x, y := c.of(&a[0].Setup), c.of(&b[0].Setup); x != y {
			all = append(all, fmt.Sprintf("other %s: %s and %s", c.name, x, y))
		}
	}
	if _, _, same := sameRun(append([]*Report{a[0]}, b...)); same {
		all = append(all, "A and B are the same runs")
	}
	return all
}
