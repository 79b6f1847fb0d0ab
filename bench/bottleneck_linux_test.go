package bench

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// TestToolMark reads what Linux keeps, laid down by the test: one thread goes on, one begins, one ends.
func TestToolMark(t *testing.T) {
	proc := t.TempDir()
	lay(t, proc, map[string]string{
		"self/task/7/schedstat": "1000000 5000000 10\n", "self/task/8/schedstat": "9000000 9000000 9\n",
		"stat": "cpu  100 50 100 700 40 5 3 2 60 1\ncpu0 1 2 3\n",
	})
	first := readToolMark(proc)
	if first.own == 0 || first.machine != (machineTime{210, 1000}) ||
		first.threads[7] != (threadTime{time.Millisecond, 5 * time.Millisecond, 10}) {
		t.Errorf("%+v", first)
	}
	if err := os.RemoveAll(proc + "/self/task/8"); err != nil {
		t.Fatal(err)
	}
	lay(t, proc, map[string]string{
		"self/task/7/schedstat": "4000000 8000000 15\n", "self/task/9/schedstat": "1000000 1000000 5\n",
		"stat": "cpu  160 50 140 700 40 5 3 2 60 1\n",
	})
	tool := newTool(first, readToolMark(proc), newHistogram(), newHistogram())
	if tool.Waiting == nil || *tool.Waiting != 0.5 || tool.Wait != 400 || tool.Machine == nil || *tool.Machine != 1 {
		t.Errorf("%+v", tool)
	}
	for _, text := range []string{"", "cpu x y", "nothing"} {
		lay(t, proc, map[string]string{"stat": text})
		if m := readMachine(proc); m != (machineTime{}) {
			t.Errorf("%q: %+v", text, m)
		}
	}
	if here := readToolMark("/proc"); here.machine.all == 0 || here.own == 0 {
		t.Errorf("of this machine: %+v", here)
	}
}

// TestVerdict is about what is called short of CPU.
func TestVerdict(t *testing.T) {
	of := func(d time.Duration) *hdrhistogram.Histogram {
		h := newHistogram()
		observe(&h, d)
		return h
	}
	idle, busy := machineTime{30, 100}, machineTime{96, 100}
	for name, c := range map[string]struct {
		thread      threadTime
		machine     machineTime
		late, takes time.Duration
		want        string // part of the reasons; "" is no shortage
	}{
		"nothing known": {threadTime{}, machineTime{}, 0, time.Millisecond, ""},
		"enough":        {threadTime{900, 100, 1}, idle, time.Millisecond, time.Millisecond, ""},
		"waits": {threadTime{time.Second, time.Second, 1000}, idle, 0, 5 * time.Millisecond,
			"waited 50 %"},
		"waits, and commands take longer": {threadTime{time.Second, time.Second, 1000}, idle, 0,
			50 * time.Millisecond, ""},
		"wakes late": {threadTime{}, idle, 20 * time.Millisecond,
			100 * time.Millisecond, "timers"},
		"wakes late for short ones": {threadTime{}, idle, 20 * time.Millisecond, 900 * time.Millisecond, ""},
		"machine busy":              {threadTime{}, busy, 0, time.Second, "96 % busy"},
	} {
		marks := toolMark{threads: map[int]threadTime{1: c.thread}, machine: c.machine}
		tool := newTool(toolMark{}, marks, of(c.late), of(c.takes))
		reasons := strings.Join(tool.Shortage, ", ")
		if (c.want == "") == tool.Short() || !strings.Contains(reasons, c.want) {
			t.Errorf("%s: %q, want %q", name, reasons, c.want)
		}
		if tool.Short() != strings.Contains(tool.Verdict(), "the latencies include its own delays") {
			t.Errorf("%s: %s", name, tool.Verdict())
		}
	}
}

// TestPulse: on a clock of its own no timer is late.
func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPulse()
		time.Sleep(time.Second + pulseStep/2)
		if late := p.end(); late.TotalCount() != 100 || late.Max() != 1 {
			t.Errorf("%d timers, late by %d us", late.TotalCount(), late.Max())
		}
	})
}
