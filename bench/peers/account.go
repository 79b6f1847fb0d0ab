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

// cpuTime returns what a process and its descendants have spent, from the scheduler's own clock.
func cpuTime(pid int) (time.Duration, error) {
	var total time.Duration
	for _, member := range family(pid) {
		var spent unix.Timespec
		clock := int32(^member)<<3 | 2 // the process's CPU clock, as clock_getcpuclockid(3) makes it
		if err := unix.ClockGettime(clock, &spent); err != nil {
			return 0, fmt.Errorf("CPU clock of process %d: %w", member, err)
		}
		total += time.Duration(spent.Nano())
	}
	return total, nil
}

// pss returns the proportional set size of a process and its descendants, in bytes.
func pss(pid int) (int64, error) {
	var total int64
	for _, member := range family(pid) {
		file, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", member))
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
