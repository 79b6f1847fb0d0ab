package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// readToolMark reads the counters below proc, which is /proc.
func readToolMark(proc string) toolMark {
	return toolMark{own: ownCPU(), threads: readThreads(proc), machine: readMachine(proc)}
}

// readThreads reads the counters of this process's threads, as far as the system has them.
func readThreads(proc string) map[int]threadTime {
	files, _ := filepath.Glob(proc + "/self/task/[0-9]*/schedstat") // the pattern is valid
	threads := make(map[int]threadTime, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		var ran, waited, turns int64
		if n, _ := fmt.Sscan(string(text), &ran, &waited, &turns); n == 3 {
			threads[id] = threadTime{time.Duration(ran), time.Duration(waited), turns}
		}
	}
	return threads
}

// readMachine reads the first line of stat: user, nice, system, idle, iowait, irq, softirq, steal. Guests are in user
// and nice. Niced processes give way to the tool, so their time is not busy.
func readMachine(proc string) (m machineTime) {
	text, err := os.ReadFile(proc + "/stat")
	if err != nil {
		return m
	}
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	fields := bytes.Fields(line)
	for i, field := range fields {
		if i == 0 || i > 8 {
			continue // the name, and guests
		}
		n, err := strconv.ParseUint(string(field), 10, 64)
		if err != nil {
			return machineTime{}
		}
		m.all += n
		if i != 2 && i != 4 && i != 5 {
			m.busy += n
		}
	}
	return m
}
