package setup

import (
	"errors"
	"testing"

	"portico/backend/backendtest/testkit"
)

// Threads are used where the check finds no fault. Where it does, goroutines are, and whoever starts them learns why,
// once.
func TestStartFallsBack(t *testing.T) {
	testkit.NoLeaks(t)
	fault := errors.New("no epoll")
	for name, test := range map[string]struct {
		check   func() error
		threads bool
	}{
		"this system":  {nil, true},
		"one with all": {func() error { return nil }, true},
		"one without":  {func() error { return fault }, false},
	} {
		var reasons []error
		ts, err := Start(Options{Threads: 1, Check: test.check, Panicked: fails(t),
			FellBack: func(reason error) { reasons = append(reasons, reason) }})
		if err != nil {
			t.Fatal(err)
		}
		_, got := ts.(*threadPool)
		ts.Stop()
		if got != test.threads || test.threads != (len(reasons) == 0) || len(reasons) > 1 ||
			!test.threads && !errors.Is(reasons[0], fault) {
			t.Errorf("%s: threads %v, reasons %v", name, got, reasons)
		}
	}
}

// A coroutine that changes its thread is noticed at its first step, and at a later one.
func TestCoroutineStays(t *testing.T) {
	for wanders := range 8 {
		calls := 0
		thread := func() int {
			if calls++; calls == wanders {
				return 2
			}
			return 1
		}
		if got := coroutineStays(thread); got != (wanders == 0) {
			t.Errorf("call %d on another thread: stays %v", wanders, got)
		}
	}
}
