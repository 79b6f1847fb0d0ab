package bench

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Limits above which the tool is short of CPU: if the machine is busy, or if waiting for a CPU is a large part of the
// latencies.
const (
	mostWaiting = 0.25                  // of the time in which its threads wanted a CPU
	mostLate    = 10 * time.Millisecond // timers, at the 99th percentile
	mostShare   = 0.1                   // of such waiting in the latencies of commands
	mostBusy    = 0.95                  // the machine
)

// pulseStep is the interval at which the tool measures how late its timers are.
const pulseStep = 10 * time.Millisecond

// Tool holds the load of the tool itself. A tool that is short of CPU measures its own delays.
type Tool struct {
	CPU  float64 `json:"cpu_s"`
	CPUs int     `json:"cpus"` // that it may use
	// the part of their runnable time in which the tool's threads waited for a CPU; Linux only
	Waiting *float64 `json:"waiting,omitempty"`
	Wait    float64  `json:"wait_us"`            // that was each time, on average
	LateP99 int64    `json:"timer_delay_p99_us"` // how late its timers were
	LateMax int64    `json:"timer_delay_max_us"` // likewise
	// the used part of the machine's CPU time, by all processes; Linux only
	Machine  *float64 `json:"machine_busy,omitempty"`
	Shortage []string `json:"short_of_cpu"` // why it was short of CPU; empty if it was not
	Version  string   `json:"go"`
}

// Short reports whether the tool was short of CPU, so that latencies include its own delays.
func (t *Tool) Short() bool { return len(t.Shortage) > 0 }

// Verdict says in one line whether the tool was the bottleneck.
func (t *Tool) Verdict() string {
	if t.Short() {
		return "the tool was short of CPU: the latencies include its own delays"
	}
	return "the tool was not short of CPU"
}

// toolMark holds the counters of the tool and its machine at one moment. A counter that cannot be read is empty.
type toolMark struct {
	own     time.Duration
	threads map[int]threadTime
	machine machineTime
}

// threadTime holds the scheduler's counters of a thread: how long it ran, how long it waited for a CPU, and how often
// it got one.
type threadTime struct {
	ran, waited time.Duration
	turns       int64
}

func (t *threadTime) addSince(before, now threadTime) {
	t.ran += max(0, now.ran-before.ran)
	t.waited += max(0, now.waited-before.waited)
	t.turns += max(0, now.turns-before.turns)
}

// machineTime is the time of all CPUs since the machine started, in ticks.
type machineTime struct{ busy, all uint64 }

// newTool compares two moments, and adds the delays of timers and the latencies of commands.
func newTool(first, last toolMark, late, commands *hdrhistogram.Histogram) Tool {
	t := Tool{
		CPU: (last.own - first.own).Seconds(), CPUs: runtime.GOMAXPROCS(0), Version: runtime.Version(),
		Shortage: []string{},
		LateP99:  late.ValueAtQuantile(99), LateMax: late.Max(),
	}
	short := func(is bool, format string, args ...any) {
		if is {
			t.Shortage = append(t.Shortage, fmt.Sprintf(format, args...))
		}
	}
	var threads threadTime
	for id, now := range last.threads {
		threads.addSince(first.threads[id], now)
	}
	if threads.turns > 0 && threads.ran > 0 {
		part := threads.waited.Seconds() / (threads.ran + threads.waited).Seconds()
		t.Waiting, t.Wait = &part, float64(threads.waited.Microseconds())/float64(threads.turns)
		short(part > mostWaiting && t.Wait > mostShare*float64(commands.ValueAtQuantile(50)),
			"its threads waited %s of the time they wanted a CPU", percent(part))
	}
	short(t.LateP99 > mostLate.Microseconds() && float64(t.LateP99) > mostShare*float64(commands.ValueAtQuantile(99)),
		"one in a hundred of its timers was late by %s or more", micros(t.LateP99))
	if last.machine.all > first.machine.all {
		part := float64(last.machine.busy-first.machine.busy) / float64(last.machine.all-first.machine.all)
		t.Machine = &part
		short(part > mostBusy, "the machine's CPUs were %s busy", percent(part))
	}
	return t
}

// pulse measures how late timers are.
type pulse struct {
	late *hdrhistogram.Histogram
	stop chan struct{}
	work sync.WaitGroup
}

func startPulse() *pulse {
	p := &pulse{late: newHistogram(), stop: make(chan struct{})}
	p.work.Go(p.run)
	return p
}

func (p *pulse) run() {
	timer := time.NewTimer(pulseStep)
	defer timer.Stop()
	for {
		due := time.Now().Add(pulseStep)
		select {
		case <-timer.C:
		case <-p.stop:
			return
		}
		observe(&p.late, time.Since(due))
		timer.Reset(pulseStep)
	}
}

// end stops the pulse and returns the delays.
func (p *pulse) end() *hdrhistogram.Histogram {
	close(p.stop)
	p.work.Wait()
	return p.late
}

func percent(part float64) string { return fmt.Sprintf("%.0f %%", 100*part) }
