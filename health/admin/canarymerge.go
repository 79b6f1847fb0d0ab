package admin

import (
	"maps"
	"slices"

	"portico/proxy/relay"
)

// NewCanaryVerb returns the figures of a command.
func NewCanaryVerb(verb string, times *relay.Histogram, errors uint64) CanaryVerb {
	var row StatsRow
	row.setTimes(times)
	return CanaryVerb{Verb: verb, Commands: row.Commands, Errors: errors, P50: row.P50, P95: row.P95, P99: row.P99,
		Buckets: row.Buckets}
}

// MergeCanaries merges what several nodes say of canaries, by the canary and its server: the figures are those of the
// whole site, and all else is what the first node says. The figures must have buckets; the answer has none.
func MergeCanaries(nodes [][]Canary) []Canary {
	merged := []Canary{}
	for _, c := range slices.Concat(nodes...) {
		i := slices.IndexFunc(merged, func(of Canary) bool {
			return of.Name == c.Name && of.Database == c.Database && of.Server == c.Server
		})
		if i < 0 {
			merged = append(merged, c)
			continue
		}
		arms := make([]CanaryArm, len(merged[i].Arms))
		for side, arm := range merged[i].Arms {
			arms[side] = arm
			if side < len(c.Arms) {
				arms[side] = arm.plus(c.Arms[side])
			}
		}
		merged[i].Arms = arms
	}
	withoutBuckets(merged)
	return merged
}

// plus returns the figures of the same side at two nodes.
func (a CanaryArm) plus(b CanaryArm) CanaryArm {
	sum := CanaryArm{Servers: a.Servers, Sessions: a.Sessions + b.Sessions, SignIns: a.SignIns + b.SignIns,
		Refused: make(map[string]uint64), Verbs: []CanaryVerb{}}
	times, errors := make(map[string]*relay.Histogram), make(map[string]uint64)
	for _, arm := range []CanaryArm{a, b} {
		for reason, n := range arm.Refused {
			sum.Refused[reason] += n
		}
		for _, v := range arm.Verbs {
			if times[v.Verb] == nil {
				times[v.Verb] = new(relay.Histogram)
			}
			times[v.Verb].Add((&StatsRow{Buckets: v.Buckets}).times())
			errors[v.Verb] += v.Errors
		}
	}
	for _, verb := range slices.Sorted(maps.Keys(times)) {
		sum.Verbs = append(sum.Verbs, NewCanaryVerb(verb, times[verb], errors[verb]))
	}
	return sum
}

// withoutBuckets removes the histograms.
func withoutBuckets(all []Canary) {
	for _, c := range all {
		for side := range c.Arms {
			c.Arms[side].Verbs = slices.Clone(c.Arms[side].Verbs)
			for i := range c.Arms[side].Verbs {
				c.Arms[side].Verbs[i].Buckets = nil
			}
		}
	}
}
