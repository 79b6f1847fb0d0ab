//go:build unix

package peers

import (
	"fmt"
	"math"
	"slices"
)

// against says what a row's bar is compared with.
type against int

const (
	bestSigningIn against = iota // the least of the peers that sign in
	bestOfAll                    // the least of all peers
	absolute                     // Portico's own figure
)

// row is one line of the result: what each peer took, round by round.
type row struct {
	name, unit string
	bar        float64 // at most
	against    against
	note       string
	values     map[string][]float64 // by peer, in rounds
	unranked   map[string]bool      // shown only
}

func (r *row) add(name string, value float64) {
	if r.values == nil {
		r.values = make(map[string][]float64)
	}
	r.values[name] = append(r.values[name], value)
}

// spread is what a measure was over all rounds.
type spread struct{ least, median, most float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
	return spread{sorted[0], middle, sorted[len(sorted)-1]}
}

// String writes the median and, of more than one round, the ends.
func (s spread) String() string {
	if s.least == s.most {
		return figure(s.median)
	}
	return fmt.Sprintf("%s (%s to %s)", figure(s.median), figure(s.least), figure(s.most))
}

// figure writes three digits that count.
func figure(f float64) string {
	switch {
	case math.Abs(f) >= 100:
		return fmt.Sprintf("%.0f", f)
	case math.Abs(f) >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

// best returns the peer with the least median among those that Portico is ranked with; "" if there is none.
func (r *row) best() (best string) {
	for name, values := range r.values {
		if name == portico || r.unranked[name] || len(values) < len(r.values[portico]) {
			continue
		}
		if best == "" || spreadOf(values).median < spreadOf(r.values[best]).median {
			best = name
		}
	}
	return best
}

// judged returns what is held against the bar: Portico's figures, or their ratio to the best peer's of the same round.
func (r *row) judged() spread {
	own := r.values[portico]
	if r.against == absolute {
		return spreadOf(own)
	}
	best := r.values[r.best()]
	var ratios []float64
	for i := range min(len(own), len(best)) {
		ratios = append(ratios, own[i]/best[i])
	}
	return spreadOf(ratios)
}

// met tells whether the median is within the bar; a row without a bar is information.
func (r *row) met() bool { return r.bar == 0 || r.judged().median <= r.bar }
