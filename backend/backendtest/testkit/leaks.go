package testkit

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// leakPatience is how long goroutines and descriptors may take to go away.
const leakPatience = 30 * time.Second

// watched has the names of the tests that NoLeaks looks after now.
var watched sync.Map

// NoLeaks fails the test if goroutines or descriptors that were opened after this
// call are still there when the test ends. Call it first in a test, so that its
// check runs after every other cleanup; it is not for parallel tests. Further calls
// in the same test do nothing.
func NoLeaks(t testing.TB) {
	t.Helper()
	noLeaksAfter(t, leakPatience)
}

// noLeaksAfter is NoLeaks for what goes away within a limit.
func noLeaksAfter(t testing.TB, limit time.Duration) {
	t.Helper()
	if _, already := watched.LoadOrStore(t.Name(), true); already {
		// the first call's check comes last; to another one, what the test's first part still has would be a leak
		return
	}
	t.Cleanup(func() { watched.Delete(t.Name()) })
	startPoller(t)
	goroutines, descriptors := goroutineStacks(), openDescriptors()
	t.Cleanup(func() {
		var left []string
		gone := func() bool {
			left = append(added(goroutines, goroutineStacks()), added(descriptors, openDescriptors())...)
			return len(left) == 0
		}
		if !waitFor(limit, gone) && !t.Failed() {
			t.Errorf("left behind after %v:\n%s", limit, strings.Join(left, "\n\n"))
		}
	})
}

// startPoller opens the descriptors that the runtime and the resolver keep for good.
func startPoller(t testing.TB) {
	Listen(t).Close()
}

// goroutineStacks returns the stack of each goroutine by its number.
func goroutineStacks() map[string]string {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	stacks := make(map[string]string)
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		id, _, _ := strings.Cut(stack, " [") // "goroutine 7 [running]:"
		if !ofTheRuntime(stack) {
			stacks[id] = stack
		}
	}
	return stacks
}

// ofTheRuntime reports whether a goroutine was started by testing or by the
// runtime, which nobody can stop.
func ofTheRuntime(stack string) bool {
	for _, mark := range []string{
		"created by testing.", "created by runtime", "created by os/signal.", "testing.(*F).Fuzz", "testing.runTests(",
	} {
		if strings.Contains(stack, mark) {
			return true
		}
	}
	return false
}

// openDescriptors names what each open descriptor points at; it is empty where
// the system has no /proc.
func openDescriptors() map[string]string {
	const dir = "/proc/self/fd"
	open := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return open
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil || strings.HasSuffix(target, "/fd") || runtimeDescriptor(target) {
			continue // gone already, or the directory being read
		}
		// A number is used again after a close: number and target together tell.
		open[e.Name()+" "+target] = fmt.Sprintf("descriptor %s: %s", e.Name(), target)
	}
	return open
}

func runtimeDescriptor(target string) bool {
	return strings.HasPrefix(target, "/sys/fs/cgroup/") || strings.HasPrefix(target, "/dev/urandom")
}

// added returns what is in after but not in before, in a stable order.
func added(before, after map[string]string) []string {
	var news []string
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if _, ok := before[key]; !ok {
			news = append(news, after[key])
		}
	}
	return news
}
