package cli

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// Rows of the protocol log are in the local zone, or in UTC, and say which.
func TestRowsSayTheirZone(t *testing.T) {
	const row = "2026-07-01T10:00:00.123Z"
	if got := rowTime(row, time.UTC); got != "2026-07-01 10:00:00.123Z" {
		t.Error(got)
	}
	if got := rowTime(row, time.FixedZone("", 2*3600)); got != "2026-07-01 12:00:00.123+02" {
		t.Error(got)
	}
	if got := rowTime("damaged", time.UTC); got != "damaged" {
		t.Error(got)
	}
}

// TestSpanIsInOrder: the error says which moments were meant, and why a time of day is yesterday's.
func TestSpanIsInOrder(t *testing.T) {
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.Local)
	for _, c := range []struct{ from, to, says string }{
		{"10:00", "11:00", ""},
		{"11:59", "12:01", "2030-01-02 11:59:00 is not before 2030-01-01 12:01:00: 12:01 is later than now"},
		{"2h", "3h", "2030-01-02 10:00:00 is not before 2030-01-02 09:00:00"},
	} {
		err := setSpan(url.Values{}, c.from, c.to, now)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
		}
	}
}
