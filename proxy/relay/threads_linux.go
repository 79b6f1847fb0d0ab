package relay

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxNiceness is that of the lowest priority.
const maxNiceness = 19

// LowerOthers gives a niceness, 1 to 19, to all threads of the process except the loops', so that sign-ins compute
// only when no loop needs the CPU. Threads that the Go runtime starts later inherit it, because it starts none from a
// locked thread. It applies to the whole process, and cannot be undone without privilege. A higher value counts as 19.
func (ls *Loops) LowerOthers(niceness int) error {
	niceness = min(niceness, maxNiceness)
	for again := true; again; { // a thread that was not lowered yet may have started another
		var err error
		if again, err = ls.lowerOthers(niceness); err != nil {
			return fmt.Errorf("lower the priority of set-up: %w", err)
		}
	}
	return nil
}

// lowerOthers checks all threads once, and says whether it lowered one.
func (ls *Loops) lowerOthers(niceness int) (found bool, err error) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return false, err
	}
	for _, task := range tasks {
		thread, err := strconv.Atoi(task.Name())
		if err != nil || slices.ContainsFunc(ls.loops, func(lp *loop) bool { return lp.thread == thread }) {
			continue
		}
		now, err := unix.Getpriority(unix.PRIO_PROCESS, thread)
		if err == nil && 20-now < niceness { // the kernel gives 20 minus the niceness
			found = true
			err = unix.Setpriority(unix.PRIO_PROCESS, thread, niceness)
		}
		if err != nil && err != unix.ESRCH { // it may just have ended
			return false, err
		}
	}
	return found, nil
}
