package cli

import (
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
