package recovery

import (
	"fmt"
	"time"
)

// Throttle says how often an action may be tried: on one resource, and on all together, which are the group (EXCHANGE.md 1.4). Below zero there is no
// limit.
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
		"LocalMinimumMinutesBetweenAttempts=%g LocalMaximumAllowedAttemptsInOneHour=%d LocalMaximumAllowedAttemptsInADay=%d GroupMinimumMinutesBetweenAttempts=%g GroupMaximumAllowedAttemptsInADay=%d",
		t.Between.Minutes(), t.InAnHour, t.InADay, t.GroupBetween.Minutes(), t.GroupInADay)
}

// verdict is whether an attempt may be made.
type verdict struct {
	reason string    // why not; "" if it may
	until  time.Time // when it may, if that is soon; else it is skipped
}

// judge judges an attempt on a resource now by those of the last day.
func (t Throttle) judge(records []Record, id, resource string, now time.Time) verdict {
	hour, day, group := 0, 0, 0
	var last, lastOfAll time.Time
	for _, r := range records {
		if r.ID != id || !r.attempted() || now.Sub(r.Start) >= 24*time.Hour {
			continue
		}
		group++
		lastOfAll = later(lastOfAll, r.Start)
		if r.Resource != resource {
			continue
		}
		day++
		last = later(last, r.Start)
		if now.Sub(r.Start) < time.Hour {
			hour++
		}
	}
	for _, limit := range []struct {
		n, most int
		what    string
	}{{day, t.InADay, "in a day"}, {hour, t.InAnHour, "in an hour"}, {group, t.GroupInADay, "in a day on all together"}} {
		if limit.most >= 0 && limit.n >= limit.most {
			return verdict{reason: fmt.Sprintf("throttled: %d %s are allowed, and %d were made", limit.most, limit.what, limit.n)}
		}
	}
	until := later(last.Add(t.Between), lastOfAll.Add(t.GroupBetween))
	if now.Before(until) {
		return verdict{reason: "throttled: too soon after the one before", until: until}
	}
	return verdict{}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
