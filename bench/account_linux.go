package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clockTick is the unit of times in /proc: USER_HZ is 100 on all of Linux's architectures that Go runs on.
const clockTick = time.Second / 100

// process is a parsed /proc/PID/stat.
type process struct {
	pid, parent int
	own         cpuTime // user and system, in ticks' precision
	ended       cpuTime // of its children that have ended
}

// parseStat parses a stat file. The name in it may contain anything, including parentheses.
func parseStat(text []byte) (process, error) {
	end := bytes.LastIndexByte(text, ')')
	first, _, _ := bytes.Cut(text, []byte{' '})
	pid, err := strconv.Atoi(string(first))
	fields := bytes.Fields(text[end+1:])
	if err != nil || end < 0 || len(fields) < 15 {
		return process{}, fmt.Errorf("not a stat file: %q", cut(string(text)))
	}
	field := func(n int) int64 { // numbered as in proc_pid_stat(5)
		value, convErr := strconv.ParseInt(string(fields[n-3]), 10, 64)
		err = errors.Join(err, convErr)
		return value
	}
	ticks := func(user, system int) cpuTime {
		c := cpuTime{user: time.Duration(field(user)) * clockTick, system: time.Duration(field(system)) * clockTick}
		c.whole = c.user + c.system
		return c
	}
	return process{pid: pid, parent: int(field(4)), own: ticks(14, 15), ended: ticks(16, 17)}, err
}

// processes reads all processes.
func (a accounting) processes() (map[int]process, error) {
	files, err := filepath.Glob(a.proc + "/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	all := make(map[int]process, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended
		}
		p, err := parseStat(text)
		if err != nil {
			return nil, err
		}
		all[p.pid] = p
	}
	return all, nil
}

// family returns the processes and all their descendants, without duplicates.
func (a accounting) family(pids []int) ([]int, error) {
	all, err := a.processes()
	if err != nil {
		return nil, err
	}
	return descend(all, pids)
}

func descend(all map[int]process, pids []int) ([]int, error) {
	children := make(map[int][]int)
	for pid, p := range all {
		children[p.parent] = append(children[p.parent], pid)
	}
	seen := make(map[int]bool)
	var members []int
	add := func(pid int) {
		if !seen[pid] {
			seen[pid] = true
			members = append(members, pid)
		}
	}
	for _, pid := range pids {
		if _, alive := all[pid]; !alive {
			return nil, fmt.Errorf("no process %d", pid)
		}
		add(pid)
	}
	for i := 0; i < len(members); i++ {
		for _, child := range children[members[i]] {
			add(child)
		}
	}
	return members, nil
}

// processesTime adds up the CPU time of a family: that of each process, and that of its children that have ended and
// been waited for.
func (a accounting) processesTime(pids []int) (cpuTime, error) {
	all, err := a.processes()
	if err != nil {
		return cpuTime{}, err
	}
	members, err := descend(all, pids)
	if err != nil {
		return cpuTime{}, err
	}
	var sum cpuTime
	for _, pid := range members {
		own := all[pid].own
		if exact, err := a.exactTime(pid); err == nil {
			own.whole = exact
		}
		sum = sum.plus(own).plus(all[pid].ended)
	}
	return sum, nil
}

// exactTime reads a process's CPU time from the scheduler, in nanoseconds.
func (a accounting) exactTime(pid int) (time.Duration, error) {
	if a.proc != "/proc" {
		return 0, errors.ErrUnsupported
	}
	var spent unix.Timespec
	clock := int32(^pid)<<3 | 2 // as clock_getcpuclockid(3) makes it
	err := unix.ClockGettime(clock, &spent)
	return time.Duration(spent.Nano()), err
}

// memory adds up the proportional set sizes.
func (a accounting) memory(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		size, err := a.pssOf(pid)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return 0, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		sum += size
	}
	return sum, nil
}

func (a accounting) pssOf(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("%s/%d/smaps_rollup", a.proc, pid))
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), "Pss: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, nil // a process that is about to end has none
}

// unitGroup asks systemd for a unit's control group.
func unitGroup(unit string) (string, error) {
	out, err := exec.Command("systemctl", "show", "--property=ControlGroup", "--value", "--", unit).Output()
	group := strings.TrimSpace(string(out))
	if err == nil && group == "" {
		err = errors.New("it is not running")
	}
	if err != nil {
		return "", fmt.Errorf("unit %s: %w", unit, err)
	}
	return group, nil
}

// unitTime reads the CPU time of a unit's control group, version 2 or 1. It includes ended processes.
func (a accounting) unitTime(unit string) (cpuTime, error) {
	group, err := a.unitGroup(unit)
	if err != nil {
		return cpuTime{}, err
	}
	text, err := os.ReadFile(filepath.Join(a.cgroup, group, "cpu.stat"))
	if errors.Is(err, fs.ErrNotExist) {
		return a.unitTimeV1(group)
	}
	if err != nil {
		return cpuTime{}, err
	}
	var c cpuTime
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "usage_usec":
			c.whole = time.Duration(n) * time.Microsecond
		case "user_usec":
			c.user = time.Duration(n) * time.Microsecond
		case "system_usec":
			c.system = time.Duration(n) * time.Microsecond
		}
	}
	return c, nil
}

func (a accounting) unitTimeV1(group string) (cpuTime, error) {
	read := func(name string) (time.Duration, error) {
		text, err := os.ReadFile(filepath.Join(a.cgroup, "cpuacct", group, name))
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		return time.Duration(n), err
	}
	whole, err1 := read("cpuacct.usage")
	user, err2 := read("cpuacct.usage_user")
	system, err3 := read("cpuacct.usage_sys")
	return cpuTime{whole, user, system}, errors.Join(err1, err2, err3)
}

// unitProcesses returns the processes in a unit's control group and in those below it.
func (a accounting) unitProcesses(unit string) ([]int, error) {
	group, err := a.unitGroup(unit)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(a.cgroup, group)
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		root = filepath.Join(a.cgroup, "cpuacct", group)
	}
	var pids []int
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "cgroup.procs" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, field := range strings.Fields(string(text)) {
			pid, convErr := strconv.Atoi(field)
			pids, err = append(pids, pid), errors.Join(err, convErr)
		}
		return err
	})
	return pids, err
}

// ownCPU returns the CPU time of this process.
func ownCPU() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
