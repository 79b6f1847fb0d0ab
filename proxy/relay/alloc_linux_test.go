package relay

import (
	"runtime"
	"testing"
)

// TLS allocates by itself, so that only plain ends show what the relay does.
func TestALoopAllocatesNothingForACommand(t *testing.T) {
	eachLoop(t, aLoopAllocatesNothingForACommand)
}

func aLoopAllocatesNothingForACommand(t *testing.T, d driver) {
	exchange := exchanger(t, d, ways{}, noop, noopAnswer)
	exchange()
	if n := allocsPerRun(200, exchange); n != 0 {
		t.Errorf("%v allocations for a command", n)
	}
}

// allocsPerRun is testing.AllocsPerRun on all CPUs. On one, the test and the loop wait for each other at each system
// call.
func allocsPerRun(runs uint64, f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.Mallocs - before.Mallocs) / runs
}
