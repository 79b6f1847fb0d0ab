package configs

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// timespan is Exchange's form: [days.]hours:minutes:seconds.
var timespan = regexp.MustCompile(`^(?:(\d{1,4})\.)?(\d{1,2}):([0-5]\d):([0-5]\d)$`)

// ParseDuration reads a duration as Go writes it ("90s", "1h30m") or as
// Exchange does ("00:30:00", "1.00:00:00"). A number without unit is an error.
func ParseDuration(text string) (time.Duration, error) {
	if m := timespan.FindStringSubmatch(text); m != nil {
		var n [4]int64 // days, hours, minutes, seconds; the pattern keeps them small
		for i, digits := range m[1:] {
			n[i], _ = strconv.ParseInt("0"+digits, 10, 64)
		}
		if n[1] > 23 {
			return 0, fmt.Errorf("%q has more than 23 hours; write days as in \"1.00:00:00\"", text)
		}
		return time.Duration(((n[0]*24+n[1])*60+n[2])*60+n[3]) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("must be a duration such as 90s, 30m or 00:30:00, not %q", text)
	}
	return d, nil
}

// FormatDuration writes a duration in Go's form without empty parts: "30m",
// not "30m0s". ParseDuration reads it back.
func FormatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
