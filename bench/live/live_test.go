package live

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/HdrHistogram/hdrhistogram-go"

	"portico/backend/backendtest/testkit"
	"portico/bench"
)

// sampleStep is a step with n rows.
func sampleStep(n int) step {
	i := bench.Interval{From: time.Unix(0, 0), To: time.Unix(2, 0)}
	for k := range n {
		h := hdrhistogram.New(1, 3_600_000_000, 3)
		h.RecordValues(int64(1500*(k+1)), 20)
		i.Rows = append(i.Rows, bench.IntervalRow{
			Name: fmt.Sprintf("COMMAND%d", k), Command: k > 0, Operation: k == 0, Latencies: h,
			Outcomes: bench.Outcomes{All: 21, Done: 20, TimedOut: 1},
		})
	}
	return step{i, bench.Progress{
		Measuring: true, Left: 7 * time.Second, Sessions: 50, PerSecond: 120, P99: 3 * time.Millisecond,
		Errors: 4, Behind: 2,
	}}
}

// TestScreen wants each screen to fit, and to hold what there is room for.
func TestScreen(t *testing.T) {
	for _, c := range []struct {
		width, height, rows int
		ascii               bool
		want                string
	}{
		{80, 24, 3, false, "COMMAND2"},
		{80, 24, 3, true, "#"},
		{80, 24, 30, false, "... and 17 more"},
		{40, 12, 30, false, "more"},
		{20, 5, 3, false, "measuring"},
		{1, 1, 3, false, "portico"},
		{200, 60, 30, false, "COMMAND29"},
	} {
		m := newModel(Options{Title: "portico bench: noop against 127.0.0.1:143", ASCII: c.ascii})
		m.Update(tea.WindowSizeMsg{Width: c.width, Height: c.height})
		m.Update(sampleStep(c.rows))
		lines := m.lines()
		text := strings.Join(lines, "\n")
		if !strings.Contains(text, c.want) {
			t.Errorf("%dx%d: there is no %q in\n%s", c.width, c.height, c.want, text)
		}
		if len(lines) > max(c.height, 5) {
			t.Errorf("%dx%d: %d lines", c.width, c.height, len(lines))
		}
		for _, line := range lines {
			if utf8.RuneCountInString(line) > max(c.width, 20) || strings.ContainsRune(line, '\x1b') {
				t.Errorf("%dx%d: %q", c.width, c.height, line)
			}
		}
		if ascii := !strings.ContainsFunc(text, func(r rune) bool { return r > '~' }); ascii != (c.ascii ||
			c.height <= 5) {
			t.Errorf("%dx%d: ASCII: %v\n%s", c.width, c.height, ascii, text)
		}
	}
}

// TestFigures wants counts to add up over steps, and latencies and rates to be of the last one.
func TestFigures(t *testing.T) {
	m := newModel(Options{})
	m.Update(sampleStep(2))
	m.Update(sampleStep(1))
	text := strings.Join(m.lines(), "\n")
	for _, want := range []string{
		"measuring, 7s left", "50 sessions, 10 operations/s, 120 commands/s, 2 behind, 4 errors",
		"COMMAND0                 10.0    1.5 ms    1.5 ms    1.5 ms        40         2",
		"COMMAND1                  0.0         -         -         -        20         1",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	for want, p := range map[string]bench.Progress{
		"signing in": {}, "warming up, 3s left": {WarmingUp: true, Left: 3 * time.Second},
		"waiting for what": {Measuring: true},
	} {
		m.Update(step{progress: p})
		if got := m.phase(); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestProgram runs the screen on a terminal that is a buffer, until the person ends it.
func TestProgram(t *testing.T) {
	testkit.NoLeaks(t)
	var out safeBuffer
	ended, end := context.WithCancel(t.Context())
	defer end()
	v := Start(Options{In: nil, Out: &out, Title: "portico bench: noop", End: end}, tea.WithWindowSize(80, 24),
		tea.WithEnvironment([]string{"TERM=xterm"}))
	s := sampleStep(2)
	v.Interval(s.interval)
	v.Progress(s.progress)
	testkit.Eventually(t, "the screen shows the run",
		func() bool { return strings.Contains(out.String(), "COMMAND1") })
	v.program.Send(tea.KeyPressMsg{Code: 'q', Text: "q"})
	<-ended.Done()
	v.Close()
	v.Progress(s.progress) // after the end it does nothing
}

// safeBuffer is a buffer for several goroutines.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
