package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// recorder is a test whose failures and cleanups are only noted.
type recorder struct {
	testing.TB
	cleanups []func()
	failures []string
	skipped  string
}

// stopped is what a recorder panics with where a test would end.
type stopped struct{}

func (r *recorder) Helper()          {}
func (r *recorder) Failed() bool     { return len(r.failures) > 0 }
func (r *recorder) Name() string     { return "TestRecorded" }
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(stopped{})
}

func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	panic(stopped{})
}

// run runs f as a test with its cleanups.
func (r *recorder) run(f func()) {
	defer func() {
		if v := recover(); v != nil && v != (stopped{}) {
			panic(v)
		}
		for i := len(r.cleanups) - 1; i >= 0; i-- {
			r.cleanups[i]()
		}
	}()
	f()
}

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, line string
		want          bool
	}{
		{"a OK", "a OK", true},
		{"a OK", "a OK ", false},
		{"a OK*", "a OK", true},
		{"* OK *", "* OK [X] hi", true},
		{"*b*b", "ab", false},
		{"*b*b", "abb", true},
		{"a*c*e", "abcde", true},
		{"a*c*e", "abde", false},
		{"", "", true},
	}
	for _, tt := range tests {
		if got := Match(tt.pattern, tt.line); got != tt.want {
			t.Errorf("Match(%q, %q) = %v", tt.pattern, tt.line, got)
		}
	}
}

func TestNoLeaksSeesLeaks(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	r := &recorder{TB: t}
	var file *os.File
	r.run(func() {
		noLeaksAfter(r, 100*time.Millisecond)
		go wait(stop)
		var err error
		if file, err = os.Open(os.DevNull); err != nil {
			t.Fatal(err)
		}
	})
	defer file.Close()
	report := strings.Join(r.failures, "\n")
	if !strings.Contains(report, "testkit.wait") || !strings.Contains(report, os.DevNull) {
		t.Errorf("report: %s", report)
	}
}

func wait(stop <-chan struct{}) { <-stop }

func TestNeed(t *testing.T) {
	notes := filepath.Join(t.TempDir(), "skips")
	t.Setenv(SkipsFile, notes)
	t.Setenv("CI", "")
	const missing = "no-such-program-anywhere"

	r := &recorder{TB: t}
	r.run(func() { Need(r, "go", missing) })
	if !strings.Contains(r.skipped, missing) || r.Failed() {
		t.Errorf("skipped: %q, failures: %q", r.skipped, r.failures)
	}
	if note, err := os.ReadFile(notes); err != nil ||
		!strings.HasPrefix(string(note), "TestRecorded: "+missing+" is missing: ") {
		t.Errorf("note: %q, %v", note, err)
	}

	t.Setenv("CI", "true")
	r = &recorder{TB: t}
	r.run(func() { Need(r, missing) })
	if !r.Failed() || r.skipped != "" {
		t.Errorf("in CI: skipped %q, failures %q", r.skipped, r.failures)
	}

	r = &recorder{TB: t}
	r.run(func() { Need(r, "go") })
	if r.Failed() || r.skipped != "" {
		t.Errorf("present: skipped %q, failures %q", r.skipped, r.failures)
	}
}
