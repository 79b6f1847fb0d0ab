package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const recorded = `goos: linux
pkg: portico/proxy/wire
BenchmarkScan-2   	 100	 200 ns/op	 50.0 MB/s	 0 B/op	 0 allocs/op
BenchmarkScan-2   	 100	 100 ns/op	 100.0 MB/s	 0 B/op	 0 allocs/op
BenchmarkGone-2   	 100	 7 ns/op
PASS
ok  	portico/proxy/wire	1s
`

func TestCompare(t *testing.T) {
	for _, test := range []struct {
		name, now, want string
		marked          int
	}{
		{"same", "pkg: portico/proxy/wire\nBenchmarkScan-2 1 109 ns/op 91 MB/s", "1.09", 0},
		{"slower", "pkg: portico/proxy/wire\nBenchmarkScan-2 1 120 ns/op 80 MB/s", "1.20  <-- WORSE", 2},
		{"faster", "pkg: portico/proxy/wire\nBenchmarkScan-2 1 50 ns/op 200 MB/s", "0.50", 0},
		{"a few bytes", "pkg: portico/proxy/wire\nBenchmarkScan-2 1 100 ns/op 3 B/op", "-", 0},
		{"many bytes", "pkg: portico/proxy/wire\nBenchmarkScan-2 1 100 ns/op 4096 B/op", "<-- WORSE", 1},
		{"allocates", "pkg: portico/proxy/wire\nBenchmarkScan-2 1 100 ns/op 1 allocs/op", "<-- WORSE", 1},
		{"best of two", "pkg: portico/proxy/wire\nBenchmarkScan-2 1 150 ns/op\nBenchmarkScan-2 1 100 ns/op", "1.00",
			0},
		{"another package", "pkg: portico/bench\nBenchmarkScan-2 1 900 ns/op", "not recorded", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			marked := compare(&out, parse(recorded), parse(test.now))
			if marked != test.marked || !strings.Contains(out.String(), test.want) ||
				!strings.Contains(out.String(), "not measured") {
				t.Errorf("%d marked, want %d and %q:\n%s", marked, test.marked, test.want, out.String())
			}
		})
	}
}

func TestRecord(t *testing.T) {
	file := filepath.Join(t.TempDir(), "recorded.txt")
	if err := run([]string{"-file", file, "-write"}, strings.NewReader(recorded), nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || len(parse(string(text))) != len(parse(recorded)) || strings.Contains(string(text), "PASS") {
		t.Errorf("recorded %q, %v", text, err)
	}
	var out strings.Builder
	if err := run([]string{"-file", file}, strings.NewReader(recorded), &out); err != nil ||
		!strings.Contains(out.String(), "0 of ") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := run([]string{"-file", file}, strings.NewReader("FAIL\n"), &out); err == nil {
		t.Error("a run that failed passes for one without figures")
	}
}
