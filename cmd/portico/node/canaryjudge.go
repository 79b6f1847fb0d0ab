package node

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"portico/backend"
	"portico/fleet"
	"portico/health"
	"portico/health/admin"
)

// What makes a difference between two sides more than chance.
const (
	canaryErrors     = 10                   // fewer errors say nothing
	canaryDeviations = 3                    // standard deviations of a number of errors
	canarySlower     = 5 * time.Millisecond // users notice no less
)

// exceeded names the limits that a canary exceeds, with the figures of both sides. Of fewer than admin.CanaryEnough
// answers on a side it says nothing.
func exceeded(limits backend.CanaryLimits, canary, others admin.CanaryArm) (all []string) {
	refused := [2]uint64{canary.RefusedSignIns(), others.RefusedSignIns()}
	signIns := [2]uint64{canary.SignIns + refused[0], others.SignIns + refused[1]}
	if found := tooOften(limits.Refusals, refused, signIns); found != "" {
		all = append(all, "sign-ins refused: "+found)
	}
	other := make(map[string]admin.CanaryVerb)
	for _, v := range others.Verbs {
		other[v.Verb] = v
	}
	for _, v := range canary.Verbs {
		o := other[v.Verb]
		if found := tooOften(limits.Errors, [2]uint64{v.Errors, o.Errors},
			[2]uint64{v.Commands, o.Commands}); found != "" {
			all = append(all, v.Verb+" failed: "+found)
		}
		if v.Commands < admin.CanaryEnough || o.Commands < admin.CanaryEnough {
			continue
		}
		for _, time := range []struct {
			name     string
			limit    float64
			is, than float64
		}{{"p50", limits.P50, v.P50, o.P50}, {"p95", limits.P95, v.P95, o.P95}, {"p99", limits.P99, v.P99, o.P99}} {
			if time.limit > 0 && time.is > time.limit*time.than+canarySlower.Seconds() {
				all = append(all, fmt.Sprintf("%s %s: %.1f ms of %d, on the other servers %.1f ms of %d", v.Verb,
					time.name, 1000*time.is, v.Commands, 1000*time.than, o.Commands))
			}
		}
	}
	return all
}

// tooOften compares how many answers of the canary and of the others failed. It returns the figures if the share of the
// canary is above the limit by more than chance explains, and else "".
func tooOften(limit float64, failed, of [2]uint64) string {
	if limit == 0 || of[0] < admin.CanaryEnough || of[1] < admin.CanaryEnough || failed[0] < canaryErrors {
		return ""
	}
	allowed := limit * admin.CanaryShare(failed[1], of[1]) * float64(of[0])
	if float64(failed[0]) <= allowed+canaryDeviations*math.Sqrt(allowed) {
		return ""
	}
	return fmt.Sprintf("%.2f %% of %d, on the other servers %.2f %% of %d", 100*admin.CanaryShare(failed[0], of[0]),
		of[0], 100*admin.CanaryShare(failed[1], of[1]), of[1])
}

// Bounds of what other nodes answer.
const (
	canaryAnswerTime = 2 * time.Second
	maxCanaryAnswer  = 1 << 20 // bytes
)

// compare compares a canary with the other servers, by the figures of all nodes of the site.
func (c canariesAPI) compare(ctx context.Context, name string) health.CanaryFigures {
	nodes := c.s.others()
	for i := range nodes {
		nodes[i].Timeout = canaryAnswerTime
	}
	query := url.Values{"name": {name}, "buckets": {"true"}}
	answers, missing := [][]admin.Canary{c.Canaries(name)}, []string(nil)
	for _, a := range fleet.Ask(ctx, nodes, fleet.Question{Method: http.MethodGet, Header: http.Header{},
		URL: &url.URL{Path: admin.PathCanaries, RawQuery: query.Encode()}}, maxCanaryAnswer) {
		var answer []admin.Canary
		if a.Err != nil || a.Status != http.StatusOK || json.Unmarshal(a.Body, &answer) != nil {
			missing = append(missing, a.Node)
			continue
		}
		answers = append(answers, answer)
	}
	merged := admin.MergeCanaries(answers)
	if len(merged) == 0 { // it has just been stopped
		return health.CanaryFigures{Summary: "there is no such canary any more"}
	}
	is := merged[0]
	found := health.CanaryFigures{Summary: fmt.Sprintf("by the figures of %d nodes", len(answers))}
	if len(missing) > 0 {
		found.Summary += "; no answer of " + strings.Join(missing, ", ")
	}
	limits, err := backend.ParseCanaryLimits(is.StopIf)
	if err == nil && is.Reason == "" && len(is.Arms) == 2 {
		found.Exceeded = exceeded(limits, is.Arms[0], is.Arms[1])
	}
	return found
}

// judged lists the canaries with limits, as targets of their probe.
func judged(active *backend.ActiveManager) (targets []string) {
	for _, c := range active.Canaries() {
		if c.Limits != (backend.CanaryLimits{}) {
			targets = append(targets, health.CanaryTarget(c.Name, c.Server))
		}
	}
	return targets
}
