//go:build unix

package peers

import (
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

func newRow(a against, bar float64, values map[string][]float64) *row {
	return &row{name: "work", unit: "us", bar: bar, against: a, values: values,
		unranked: map[string]bool{"haproxy": true}}
}

func TestVerdicts(t *testing.T) {
	for _, test := range []struct {
		name string
		row  *row
		want string // in the table
	}{
		{"ratio by round, best by median", newRow(bestOfAll, 0.9, map[string][]float64{
			portico: {8, 10, 40}, "nginx": {10, 20, 40}, "dovecot": {30, 30, 30},
		}), "| 0.80 (0.50 to 1.00) x nginx | 0.90 | met |"},
		{"short", newRow(bestOfAll, 0.7, map[string][]float64{portico: {8}, "nginx": {10}}),
			"| 0.80 x nginx | 0.70 | **short** |"},
		{"shown, not ranked", newRow(bestOfAll, 1, map[string][]float64{portico: {8}, "nginx": {10}, "haproxy": {1}}),
			"| (1.00) | 0.80 x nginx |"},
		{"the figure itself", newRow(absolute, 7, map[string][]float64{portico: {6}, "nginx": {3}}),
			"| 2.00 x nginx | 7.00 | met |"},
		{"no peer has it", newRow(absolute, 1, map[string][]float64{portico: {6}}),
			"| - | - | - | 1.00 | **short** |"},
		{"a peer with fewer rounds is no measure", newRow(absolute, 7,
			map[string][]float64{portico: {6, 6}, "nginx": {3}}), "| - | 7.00 | met |"},
	} {
		t.Run(test.name, func(t *testing.T) {
			result := Result{rows: []*row{test.row}, peers: []string{portico, "nginx", "haproxy"}}
			if table := result.Table(); !strings.Contains(table, test.want) {
				t.Errorf("want %q in\n%s", test.want, table)
			}
		})
	}
}

func TestSpread(t *testing.T) {
	values := []float64{4, 1, 2, 3}
	if s := spreadOf(values); s != (spread{1, 2.5, 4}) || values[0] != 4 {
		t.Errorf("%v of %v", s, values)
	}
}

func TestBetween(t *testing.T) {
	begin, end := marks("Debian 13")
	older, _ := marks("Debian 12")
	document := "before\n" + older + "\ntwelve\n" + end + "\n" + begin + "\nold\n" + end + "\nafter\n"
	got, err := between(document, "Debian 13", "new\n")
	if err != nil || strings.Contains(got, "old") || !strings.Contains(got, "twelve") ||
		!strings.HasPrefix(got, "before\n") || !strings.HasSuffix(got, "\nafter\n") {
		t.Errorf("%q, %v", got, err)
	}
	if again, err := between(got, "Debian 13", "new\n"); err != nil || again != got {
		t.Errorf("a second time: %q, %v", again, err)
	}
	if _, err := between(document, "Debian 11", "new"); err == nil {
		t.Error("no marks, no error")
	}
}

func TestBuckets(t *testing.T) {
	before := buckets{0.001: 5, 0.01: 5, math.Inf(1): 5}
	after := buckets{0.001: 95, 0.01: 104, math.Inf(1): 105}
	if d := after.minus(before); d.count() != 100 || d.quantile(0.9) != 0.001 || d.quantile(0.99) != 0.01 ||
		d.quantile(1) != math.Inf(1) {
		t.Errorf("%v", d)
	}
}

func TestWaits(t *testing.T) {
	start := time.Now()
	w := waits{{start, time.Millisecond}, {start.Add(5 * time.Millisecond), 4 * time.Millisecond},
		{start.Add(20 * time.Millisecond), 9 * time.Millisecond}}
	if got := w.quantile(0.5); got != 4 {
		t.Errorf("median %v ms", got)
	}
	if got := longest(w, sample{start.Add(8 * time.Millisecond), 2 * time.Millisecond}); got != 4*time.Millisecond {
		t.Errorf("longest %v", got)
	}
}

// What a child has spent before it ended is in the account, and so is what this process spends.
func TestAccount(t *testing.T) {
	own := []int{os.Getpid()}
	before, err := cpuTime(own)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", "-c",
		"i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	child, err := cpuTime(own)
	if spent := child.minus(before); err != nil || spent.user+spent.system < 2*tick || spent.cpu < 2*tick {
		t.Errorf("a child that counted: %+v, %v", spent, err)
	}
	testkit.Eventually(t, "counting itself costs time", func() bool {
		for range 10_000_000 {
		}
		after, err := cpuTime(own)
		return err == nil && after.minus(child).cpu >= 5*time.Millisecond
	})
	if own := family(os.Getpid()); own[0] != os.Getpid() {
		t.Errorf("family %v", own)
	}
	if _, err := cpuTime([]int{1 << 30}); err == nil {
		t.Error("a process that is not has CPU time")
	}
	if size, err := pss(own); err != nil || size < 1<<20 || size > 1<<30 {
		t.Errorf("Pss %d, %v", size, err)
	}
}
