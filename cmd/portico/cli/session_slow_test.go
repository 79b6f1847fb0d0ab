package cli

import (
	"testing"
	"time"
)

func TestMoment(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 30, 15, 0, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"2h":                   "2026-03-01T08:30:15+01:00",
		"0s":                   "2026-03-01T10:30:15+01:00",
		"09:05":                "2026-03-01T09:05:00+01:00",
		"10:31":                "2026-02-28T10:31:00+01:00",
		"2026-02-03T04:05:06Z": "2026-02-03T04:05:06Z",
	} {
		if got, err := moment(text, now); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %s, %v", text, got.Format(time.RFC3339), err)
		}
	}
	for _, text := range []string{"", "3", "25:00", "yesterday"} {
		if got, err := moment(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
