package recovery

import (
	"fmt"
	"slices"
	"time"
)

// Throttle says how often an action may be tried: on one resource, and on all together, which are the group
// (docs/exchange.md). Below zero there is no limit.
type Throttle struct {
	Between      time.Duration // LocalMinimumMinutesBetweenAttempts
	InAnHour     int           // LocalMaximumAllowedAttemptsInOneHour
	InADay       int           // LocalMaximumAllowedAttemptsInADay
	GroupBetween time.Duration // GroupMinimumMinutesBetweenAttempts
	GroupInADay  int           // GroupMaximumAllowedAttemptsInADay
}

// String lists the parameters in Exchange's words.
func (t Throttle) String() string {
	return fmt.Sprintf(
		"LocalMinimumMinutesBetweenAttempts=%g LocalMaximumAllowedAttemptsInOneHour=%d "+
			"LocalMaximumAllowedAttemptsInADay=%d GroupMinimumMinutesBetweenAttempts=%g "+
			"GroupMaximumAllowedAttemptsInADay=%d",
		t.Between.Minutes(), t.InAnHour, t.InADay, t.GroupBetween.Minutes(), t.GroupInADay)
}

// verdict is whether an attempt may be made.
type verdict struct {
	reason string    // why not; "" if it may
	until  time.Time // when it may, if that is soon; else it is skipped
	again  time.Time // when it may, however late; zero if the limit is none at all
}

// judge judges an attempt on a resource now by those of the last day.
func (t Throttle) judge(records []Record, id, resource string, now time.Time) verdict {
	var local, group []time.Time
	for _, r := range records {
		if r.ID != id || !r.attempted() || now.Sub(r.Start) >= day {
			continue
		}
		group = append(group, r.Start)
		if r.Resource == resource {
			local = append(local, r.Start)
		}
	}
	until := later(latest(local).Add(t.Between), latest(group).Add(t.GroupBetween))
	v := verdict{again: until}
	for _, limit := range []struct {
		starts []time.Time
		window time.Duration
		most   int
		what   string
	}{{local, day, t.InADay, "in a day"}, {local, time.Hour, t.InAnHour, "in an hour"}, {group, day, t.GroupInADay,
		"in a day for all servers together"}} {
		n, again := within(limit.starts, limit.window, limit.most, now)
		if limit.most < 0 || n < limit.most {
			continue
		}
		if v.reason == "" {
			v.reason = fmt.Sprintf("throttled: the limit is %d %s, and %d were made", limit.most, limit.what, n)
		}
		if v.again = later(v.again, again); limit.most == 0 {
			return verdict{reason: v.reason}
		}
	}
	switch {
	case v.reason != "":
		return v
	case now.Before(until):
		return verdict{reason: "throttled: too soon after the previous action", until: until, again: until}
	}
	return verdict{}
}

const day = 24 * time.Hour

// within counts the attempts of the last window, and says when fewer than most are in it.
func within(starts []time.Time, window time.Duration, most int, now time.Time) (n int, again time.Time) {
	var in []time.Time
	for _, start := range starts {
		if now.Sub(start) < window {
			in = append(in, start)
		}
	}
	if most <= 0 || len(in) < most {
		return len(in), time.Time{}
	}
	slices.SortFunc(in, time.Time.Compare)
	return len(in), in[len(in)-most].Add(window)
}

// latest returns the latest time, the zero time of none.
func latest(times []time.Time) (t time.Time) {
	for _, one := range times {
		t = later(t, one)
	}
	return t
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
