package table

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate formats a number per second.
func Rate(perSecond float64) string {
	switch {
	case perSecond == 0:
		return "0/s"
	case perSecond < 1000:
		return threeDigits(perSecond) + "/s"
	}
	return fmt.Sprintf("%.0f/s", perSecond)
}

// Latency formats a time with three digits.
func Latency(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%dus", d.Microseconds())
	case d < time.Second:
		return threeDigits(float64(d)/float64(time.Millisecond)) + "ms"
	case d < 1000*time.Second:
		return threeDigits(d.Seconds()) + "s"
	}
	return d.Round(time.Second).String()
}

// Traffic formats bytes per second.
func Traffic(perSecond float64) string {
	for _, unit := range []string{"B/s", "kB/s", "MB/s"} {
		if perSecond < 1000 {
			return threeDigits(perSecond) + unit
		}
		perSecond /= 1000
	}
	return fmt.Sprintf("%.2fGB/s", perSecond)
}

// threeDigits formats a number below 1000 with three digits.
func threeDigits(v float64) string {
	decimals := 2
	for limit := 9.995; v >= limit && decimals > 0; limit *= 10 {
		decimals--
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// The steps of a sparkline, from the least to the greatest.
var (
	sparkBlocks = []rune("▁▂▃▄▅▆▇█")
	sparkASCII  = []rune("_.-=+*%#")
)

// Spark draws numbers as a line of blocks, relative to the greatest; 0 is a space. With ascii it uses signs that every
// terminal has.
func Spark(values []float64, ascii bool) string {
	signs, high := sparkBlocks, 0.0
	if ascii {
		signs = sparkASCII
	}
	for _, v := range values {
		high = max(high, v)
	}
	var line strings.Builder
	for _, v := range values {
		if v <= 0 {
			line.WriteByte(' ')
			continue
		}
		line.WriteRune(signs[min(len(signs)-1, int(v/high*float64(len(signs))))])
	}
	return line.String()
}
