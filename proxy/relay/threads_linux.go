package relay

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// LowerOthers gives all threads of the process but the loops' own a niceness, 1 to 19, so that what signs in computes when no
// loop wants the processor. Threads that the Go runtime starts later inherit it: it starts none from a thread that a goroutine
// is locked to. It concerns the whole process, and can not be undone without privilege.
func (ls *Loops) LowerOthers(niceness int) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("lower the priority of set-up: %w", err)
	}
	for _, task := range tasks {
		thread, err := strconv.Atoi(task.Name())
		if err != nil || slices.ContainsFunc(ls.loops, func(lp *loop) bool { return lp.thread == thread }) {
			continue
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, thread, niceness); err != nil && err != unix.ESRCH { // it may just have ended
			return fmt.Errorf("lower the priority of set-up: %w", err)
		}
	}
	return nil
}
