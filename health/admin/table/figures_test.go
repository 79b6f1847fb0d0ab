package table

import (
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	for want, got := range map[string]string{
		"0/s":         Rate(0),
		"0.02/s":      Rate(1. / 60),
		"9.99/s":      Rate(9.99),
		"10.0/s":      Rate(9.999),
		"1000/s":      Rate(1000),
		"0us":         Latency(0),
		"999us":       Latency(999 * time.Microsecond),
		"1.50ms":      Latency(1500 * time.Microsecond),
		"1000ms":      Latency(time.Second - 1),
		"1.00s":       Latency(time.Second),
		"20m0s":       Latency(20 * time.Minute),
		"500B/s":      Traffic(500),
		"12.3kB/s":    Traffic(12340),
		"2000.00GB/s": Traffic(2e12),
		" ▂▅█":        Spark([]float64{0, 1, 4, 8}, false),
		" .+#":        Spark([]float64{0, 1, 4, 8}, true),
		"  ":          Spark([]float64{0, 0}, false),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
