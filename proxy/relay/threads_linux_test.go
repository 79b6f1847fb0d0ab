package relay

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLowersAllThreadsButTheLoops runs in a process of its own, which it changes for good.
func TestLowersAllThreadsButTheLoops(t *testing.T) {
	const child = "PORTICO_TEST_LOWER_OTHERS"
	if os.Getenv(child) == "" {
		cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	ls, err := NewLoops(complete(Options{Loops: 2}))
	if err != nil {
		t.Fatal(err)
	}
	defer ls.Close()
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // the kernel gives 20 minus the niceness
	if err != nil {
		t.Fatal(err)
	}
	before, lowered := 20-raw, min(27-raw, maxNiceness)
	if err := ls.LowerOthers(27 - raw); err != nil { // under nice 15, that is more than there is
		t.Fatal(err)
	}
	own := map[string]bool{}
	for _, lp := range ls.loops {
		own[fmt.Sprint(lp.thread)] = true
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil || len(own) != 2 {
		t.Fatalf("threads of the loops: %v (%v)", own, err)
	}
	for _, task := range tasks {
		var thread int
		fmt.Sscan(task.Name(), &thread)
		raw, err := unix.Getpriority(unix.PRIO_PROCESS, thread)
		if err != nil {
			continue // it has ended
		}
		if want := map[bool]int{true: before, false: lowered}[own[task.Name()]]; 20-raw != want {
			t.Errorf("thread %s has niceness %d, want %d", task.Name(), 20-raw, want)
		}
	}
}
