//go:build unix

package peers

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// family returns a process and all that descend from it.
func family(pid int) []int {
	pids := []int{pid}
	for i := 0; i < len(pids); i++ {
		children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		for _, file := range children {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // it has just ended
			}
			for _, field := range strings.Fields(string(text)) {
				if child, err := strconv.Atoi(field); err == nil {
					pids = append(pids, child)
				}
			}
		}
	}
	return pids
}

// usage is what processes have spent.
type usage struct {
	cpu          time.Duration // from the scheduler's own clock; of children that have ended, from the kernel's ticks
	user, system time.Duration // from the kernel's ticks, good enough for shares
}

func (u usage) minus(o usage) usage {
	return usage{u.cpu - o.cpu, u.user - o.user, u.system - o.system}
}
func (u usage) plus(o usage) usage { return usage{u.cpu + o.cpu, u.user + o.user, u.system + o.system} }

// cpuTime returns what a process and its descendants have spent, those included that have ended.
func cpuTime(pids []int) (usage, error) {
	var total usage
	for _, pid := range pids {
		var spent unix.Timespec
		clock := int32(^pid)<<3 | 2 // the process's CPU clock, as clock_getcpuclockid(3) makes it
		if err := unix.ClockGettime(clock, &spent); err != nil {
			return usage{}, fmt.Errorf("CPU clock of process %d: %w", pid, err)
		}
		ticks, err := statTicks(pid)
		if err != nil {
			return usage{}, err
		}
		total = total.plus(usage{
			cpu:    time.Duration(spent.Nano()) + ticks[2] + ticks[3],
			user:   ticks[0] + ticks[2],
			system: ticks[1] + ticks[3],
		})
	}
	return total, nil
}

// tick is the unit of times in /proc/PID/stat, the same on all Linux systems that Go runs on.
const tick = 10 * time.Millisecond

// statTicks returns utime, stime, cutime and cstime of proc_pid_stat(5).
func statTicks(pid int) (times [4]time.Duration, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return times, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold anything but this, of the programs measured here
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return times, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	for i := range times {
		n, err := strconv.ParseInt(fields[11+i], 10, 64)
		if err != nil {
			return times, err
		}
		times[i] = time.Duration(n) * tick
	}
	return times, nil
}

// programName returns what the kernel calls a process.
func programName(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(text))
}

// pss returns the proportional set size of processes, in bytes. Resident size would count shared pages once per
// process.
func pss(pids []int) (int64, error) {
	var total int64
	for _, pid := range pids {
		file, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			var kib int64
			if n, _ := fmt.Sscanf(lines.Text(), "Pss: %d kB", &kib); n == 1 {
				total += kib << 10
			}
		}
		file.Close()
	}
	return total, nil
}
