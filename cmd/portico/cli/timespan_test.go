package cli

import (
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"2h30m": 150 * time.Minute, "90s": 90 * time.Second, "0": 0, "1.00:00:00": 24 * time.Hour,
		"7.12:30:15": 7*24*time.Hour + 12*time.Hour + 30*time.Minute + 15*time.Second, "00:30": 30 * time.Minute,
		"1:5:3": time.Hour + 5*time.Minute + 3*time.Second, "00:00:01.5": 1500 * time.Millisecond,
		"-00:01:00":   -time.Minute,
		"60.00:00:00": 60 * 24 * time.Hour,
	} {
		if got, err := parseTime(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "10", "24:00:00", "00:60", "1.", "1.00", "::", "1:2:3:4", "a:b", "1.00:00:60", "999999.00:00",
	} {
		if got, err := parseTime(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
