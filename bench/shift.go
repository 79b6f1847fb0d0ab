package bench

import (
	"math"
	"slices"
)

// shift is the factor between two sets of values: the Hodges-Lehmann estimate with the confidence interval of the
// Mann-Whitney test. Both use only the order of values, so a single round that a busy machine has spoilt has little
// influence.
type shift struct {
	Ratio float64 `json:"ratio"` // the median of all ratios of a value of B to one of A
	Low   float64 `json:"low"`   // of the confidence interval
	High  float64 `json:"high"`
}

// mostRatio stands for a ratio to zero.
const mostRatio = 1e6

// newShift compares b with a. The result is known if there are enough values for the confidence, which is between 0
// and 1.
func newShift(a, b []float64, confidence float64) (s shift, known bool) {
	if len(a) == 0 || len(b) == 0 {
		return s, false
	}
	ratios := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			ratios = append(ratios, ratioOf(x, y))
		}
	}
	slices.Sort(ratios)
	s.Ratio = median(ratios)
	cut := outermost(len(a), len(b), (1-confidence)/2)
	if cut == 0 {
		return s, false
	}
	s.Low, s.High = ratios[cut-1], ratios[len(ratios)-cut]
	return s, true
}

func ratioOf(a, b float64) float64 {
	switch {
	case a == b:
		return 1
	case a <= 0:
		return mostRatio
	}
	return min(b/a, mostRatio)
}

// mostExact is the highest number of pairs for which the exact distribution is computed; beyond, the normal
// distribution is close enough.
const mostExact = 2500

// outermost returns how many of the ordered ratios lie outside the interval at each end: the largest k for which the
// Mann-Whitney statistic is below k with at most that probability. It is 0 if even the whole range of ratios is not
// certain enough.
func outermost(n, m int, tail float64) int {
	if n*m > mostExact {
		mean, deviation := float64(n*m)/2, math.Sqrt(float64(n*m*(n+m+1))/12)
		return max(0, int(math.Floor(mean+deviation*math.Sqrt2*math.Erfinv(2*tail-1))))
	}
	counts := mannWhitney(n, m)
	var all, sum float64
	for _, c := range counts {
		all += c
	}
	k := 0
	for ; k < len(counts)/2; k++ {
		if sum += counts[k]; sum > tail*all {
			break
		}
	}
	return k
}

// mannWhitney counts for each value of the statistic U the orders of n and m values that have it.
func mannWhitney(n, m int) []float64 {
	// ways[i][u] is the number of orders of i values of one kind with those of the other so far.
	ways := make([][]float64, n+1)
	for i := range ways {
		ways[i] = make([]float64, n*m+1)
		ways[i][0] = 1 // with none of the other kind
	}
	for j := 1; j <= m; j++ {
		next := make([][]float64, n+1)
		next[0] = make([]float64, n*m+1)
		next[0][0] = 1
		// the last value is of the first kind, and stands behind j of the other, or it is of the other
		for i := 1; i <= n; i++ {
			next[i] = make([]float64, n*m+1)
			for u := range next[i] {
				next[i][u] = ways[i][u]
				if u >= j {
					next[i][u] += next[i-1][u-j]
				}
			}
		}
		ways = next
	}
	return ways[n]
}
