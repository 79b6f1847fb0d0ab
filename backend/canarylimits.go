package backend

import (
	"fmt"
	"strconv"
	"strings"
)

// CanaryLimits are the figures of a canary at which health stops it: each as a multiple of the figure of the other
// servers, and 0 for no limit.
type CanaryLimits struct {
	Errors        float64 // the share of a command's answers that are NO or BAD
	Refusals      float64 // the share of sign-ins that are refused
	P50, P95, P99 float64 // the server times of a command
}

// canaryLimits are the names of the limits.
var canaryLimits = []string{"errors", "refusals", "p50", "p95", "p99"}

// maxCanaryLimit is the highest limit.
const maxCanaryLimit = 1000

// named returns the limit with a name, nil if there is none.
func (l *CanaryLimits) named(name string) *float64 {
	return map[string]*float64{"errors": &l.Errors, "refusals": &l.Refusals, "p50": &l.P50, "p95": &l.P95,
		"p99": &l.P99}[name]
}

// String returns the limits as ParseCanaryLimits reads them: "errors=2x,p95=1.5x", or "" for none.
func (l CanaryLimits) String() string {
	var all []string
	for _, name := range canaryLimits {
		if times := *l.named(name); times > 0 {
			all = append(all, name+"="+strconv.FormatFloat(times, 'f', -1, 64)+"x")
		}
	}
	return strings.Join(all, ",")
}

// ParseCanaryLimits reads limits.
func ParseCanaryLimits(text string) (l CanaryLimits, err error) {
	if text == "" {
		return l, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, times, _ := strings.Cut(strings.TrimSpace(part), "=")
		limit := l.named(name)
		if limit == nil {
			return CanaryLimits{}, fmt.Errorf("the limits of a canary are %s, as in errors=2x,p95=2x; not %q",
				strings.Join(canaryLimits, ", "), part)
		}
		*limit, err = strconv.ParseFloat(strings.TrimSuffix(times, "x"), 64)
		if err != nil || !(*limit >= 1 && *limit <= maxCanaryLimit) {
			return CanaryLimits{}, fmt.Errorf("a limit of a canary is from 1x to %dx, as in %s=2x; not %q",
				maxCanaryLimit, name, part)
		}
	}
	return l, nil
}
